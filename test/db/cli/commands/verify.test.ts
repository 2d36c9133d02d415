import { chmodSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { Command } from 'commander'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { register } from '../../../../cli/commands/verify.ts'
import { noteLocalCopy } from '../../../../shared/copies/delete/local-copies.ts'
import { startVerifiedRuns, type VerifiedRuns } from '../../../support/copies/verified-runs.ts'
import { showAs } from '../../../support/copy-tasks.ts'

let runs: VerifiedRuns
beforeAll(async () => {
  runs = await startVerifiedRuns()
})
afterAll(() => runs?.context.close())

let run = 800
let key: string
beforeEach(async () => {
  run += 1
  key = `LNGS/run00${run}.mid.gz`
  for (const table of ['tombstones', 'replicas'] as const)
    await runs.context.database.deleteFrom(table).execute()
  const settings = {
    CYGNET_DATABASE_URL: runs.context.catalogue.url,
    ...runs.context.store.environment,
    CYGNET_TAPE_DRIVER: 'directory',
    CYGNET_TAPE_DIRECTORY: runs.context.tapeFolder,
    CYGNET_FOLDER: join(runs.context.tapeFolder, 'no-stack'),
  }
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value)
})
afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  process.exitCode = 0
})

async function cygnet(...args: readonly string[]) {
  let [out, error] = ['', '']
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text
    return true
  })
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    error += text
    return true
  })
  const program = new Command('cygnet').exitOverride()
  register(program)
  for (const command of [program, ...program.commands])
    command
      .exitOverride()
      .configureOutput({ writeErr: (text) => (error += text), writeOut: (text) => (out += text) })
  let code: number | string | undefined
  try {
    await program.parseAsync(['verify', ...args], { from: 'user' })
    code = process.exitCode ?? 0
  } catch (thrown) {
    code = thrown instanceof Error && 'exitCode' in thrown ? Number(thrown.exitCode) : 1
    if (thrown instanceof Error) error += thrown.message
  }
  process.exitCode = 0
  vi.restoreAllMocks()
  return { out, error, code }
}

function damageTape(): void {
  const path = join(runs.context.tapeFolder, runs.context.bucket, key)
  chmodSync(path, 0o640)
  writeFileSync(path, 'x'.repeat(key.length))
}

describe('cygnet verify', () => {
  test('verify --run prints every copy, and ends with 0 when all are verified', async () => {
    await runs.put(key)
    const { out, code } = await cygnet('--run', String(run))
    expect(code).toBe(0)
    expect(out).toContain(`s3://${runs.context.bucket}/${key}`)
    expect(out).toContain('2 copies checked, 40 B read: 2 verified, 0 missing')
    expect((await cygnet('--run', String(run), '--tag', 'LNGS', '--quick')).out).toContain('20 B read')
  })

  test('verify prints missing and suspicious copies, and ends with 1', async () => {
    await runs.put(key)
    damageTape()
    const suspicious = await cygnet('--all')
    expect(suspicious.code).toBe(1)
    expect(suspicious.out).toContain('suspicious  it has the SHA-256')
    expect(suspicious.out).not.toContain(`s3://${runs.context.bucket}/${key}`)
    await runs.context.s3.send(new DeleteObjectCommand({ Bucket: runs.context.bucket, Key: key }))
    const { out, code } = await cygnet('--run', String(run), '--json')
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      run,
      summary: { checked: 2, verified: 0, missing: 1, suspicious: 1 },
      copies: [
        { runNumber: run, tag: 'LNGS', kind: 'cloud', outcome: 'missing' },
        { kind: 'tape', outcome: 'suspicious' },
      ],
    })
  })

  test('verify ends with 3 when a copy could not be checked', async () => {
    await runs.put(key)
    vi.stubEnv('CYGNET_TAPE_DRIVER', 'none')
    const { out, code } = await cygnet('--run', String(run))
    expect(code).toBe(3)
    expect(out).toContain('is not the configured one')
    expect(out).toContain(`${key}: no verified copy on tape: not verified now`)
    for (const [kind, state] of [
      ['cloud', 'deleted'],
      ['tape', 'planned'],
    ] as const)
      await runs.context.database.updateTable('replicas').set({ state }).where('kind', '=', kind).execute()
    const none = await cygnet('--run', String(run))
    expect(none).toMatchObject({ code: 3, out: expect.stringMatching(/ deleted .*0 copies checked/s) })
  })

  test.each([
    ['was requested and is not made', 'requested', 'waits to be made'],
    ['failed', 'failed', 'no space left'],
  ] as const)(
    'verify of a run whose copy on tape %s ends with 3, and prints that copy with its state',
    async (_, state, detail) => {
      await runs.put(key)
      const lastError = state === 'failed' ? 'no space left' : null
      const copy = await runs.context.database
        .selectFrom('copies')
        .selectAll()
        .where('kind', '=', 'tape')
        .executeTakeFirstOrThrow()
      await showAs(runs.context.database, { ...copy, state, lastError })
      const { out, code } = await cygnet('--run', String(run))
      expect(code).toBe(3)
      expect(out).toContain('1 copy checked')
      expect(out).toMatch(new RegExp(`run00${run}.mid.gz +${state} +${detail}`))
      expect(out).toContain(`${key}: no verified copy on tape: ${state}`)
      expect(JSON.parse((await cygnet('--run', String(run), '--json')).out)).toMatchObject({
        notLookedAt: [{ kind: 'tape', state, detail }],
        lacking: [{ key, why: [expect.stringContaining('no verified copy on tape')] }],
      })
    },
  )

  test('verify of a run without a request for a copy on tape ends with 3, and states this', async () => {
    await runs.put(key, { onTape: false })
    const { out, code } = await cygnet('--run', String(run))
    expect({ code, out }).toMatchObject({
      code: 3,
      out: expect.stringContaining('no verified copy on tape: none was requested yet'),
    })
  })

  test('verify of a run that the cleaner deleted from the store ends with 0 when its copy on tape is verified', async () => {
    await runs.put(key)
    await runs.context.database
      .updateTable('replicas')
      .set({ state: 'deleted' })
      .where('kind', '=', 'cloud')
      .execute()
    const { out, code } = await cygnet('--run', String(run))
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringMatching(/ deleted +by Cygnet/) })
  })

  test('verify prints a file that the DAQ has reported, and does not count it as a verified copy', async () => {
    const { sha256 } = await runs.put(key, { onTape: false })
    const copy = {
      bucket: runs.context.bucket,
      key,
      sha256,
      sizeBytes: key.length,
      host: 'daq01',
      path: '/data/x.mid.gz',
    }
    await noteLocalCopy(runs.context, copy)
    const { out, code } = await cygnet('--run', String(run))
    expect({ code, out }).toMatchObject({
      code: 3,
      out: expect.stringMatching(/file:\/\/daq01\/data.* present +cannot be checked from here; reported 20/),
    })
  })

  test('verify --sample chooses copies at random, the same ones with the same seed', async () => {
    await runs.put(key)
    const first = await cygnet('--sample', '0.5%', '--seed', 'a')
    expect(first).toMatchObject({ code: 0, out: expect.stringContaining('1 copy checked') })
    expect((await cygnet('--sample', '0.5%')).error).toMatch(/--seed \w+ chooses the same/)
  })

  test('verify --dark prints files that only the store or tape has, and copies that only the catalogue has', async () => {
    for (const name of readdirSync(runs.context.tapeFolder))
      rmSync(join(runs.context.tapeFolder, name), { recursive: true })
    await runs.put(key)
    expect(await cygnet('--dark')).toMatchObject({ code: 0 })
    writeFileSync(join(runs.context.tapeFolder, 'stray.tar'), 'x')
    await runs.context.s3.send(new DeleteObjectCommand({ Bucket: runs.context.bucket, Key: key }))
    const { out, code } = await cygnet('--dark')
    expect(code).toBe(1)
    expect(out).toContain('stray.tar')
    expect(out).toContain('missing')
  })

  test('the help of verify defines dark files', async () => {
    const { out } = await cygnet('--help')
    expect(out).toMatch(/--dark counts only objects with the name of a run.*written more than an hour ago/s)
  })

  test.each([
    [[], 'give one of'],
    [['--all', '--run', '5'], 'give one of'],
    [['--all', '--tag', 'LNGS'], '--tag belongs to --run'],
    [['--all', '--seed', 'a'], '--seed belongs to --sample'],
    [['--sample', '0%'], 'A share such as'],
    [['--sample', '101%'], 'A share such as'],
    [['--sample', 'few'], 'A share such as'],
    [['--run', '5x'], 'A whole number'],
  ])('verify refuses %j with the reason', async (args, why) => {
    const { code, error } = await cygnet(...args)
    expect(error).toContain(why)
    expect(code).not.toBe(0)
  })

  test('verify reports a run that is not in the catalogue', async () => {
    expect(await cygnet('--run', '4000000000', '--tag', 'LNF')).toMatchObject({
      code: 1,
      error: expect.stringContaining('run 4000000000 of LNF is not in the catalogue'),
    })
  })
})
