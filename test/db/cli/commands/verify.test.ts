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
  test('of a run tells of every copy, and ends with 0 when all are verified', async () => {
    await runs.put(key)
    const { out, code } = await cygnet('--run', String(run))
    expect(code).toBe(0)
    expect(out).toContain(`s3://${runs.context.bucket}/${key}`)
    expect(out).toContain('2 copies looked at, 40 B read: 2 verified, 0 missing')
    expect((await cygnet('--run', String(run), '--tag', 'LNGS', '--quick')).out).toContain('20 B read')
  })

  test('ends with 1 when a copy is missing or suspicious, which it shows', async () => {
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

  test('ends with 3 when something could not be checked', async () => {
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
    expect(none).toMatchObject({ code: 3, out: expect.stringMatching(/ deleted .*0 copies looked at/s) })
  })

  test.each([
    ['was asked for and is not made', 'requested', 'waits to be made'],
    ['is tried in vain', 'failed', 'no space left'],
  ] as const)(
    'of a run whose copy on tape %s ends with 3, and shows that copy with its state',
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
      expect(out).toContain('1 copy looked at')
      expect(out).toMatch(new RegExp(`run00${run}.mid.gz +${state} +${detail}`))
      expect(out).toContain(`${key}: no verified copy on tape: ${state}`)
      expect(JSON.parse((await cygnet('--run', String(run), '--json')).out)).toMatchObject({
        notLookedAt: [{ kind: 'tape', state, detail }],
        lacking: [{ key, why: [expect.stringContaining('no verified copy on tape')] }],
      })
    },
  )

  test('of a run for which no copy on tape was ever asked ends with 3, and says so', async () => {
    await runs.put(key, { onTape: false })
    const { out, code } = await cygnet('--run', String(run))
    expect({ code, out }).toMatchObject({
      code: 3,
      out: expect.stringContaining('no verified copy on tape: none was requested yet'),
    })
  })

  test('of a run that the cleaner deleted from the store ends with 0 when its copy on tape is verified', async () => {
    await runs.put(key)
    await runs.context.database
      .updateTable('replicas')
      .set({ state: 'deleted' })
      .where('kind', '=', 'cloud')
      .execute()
    const { out, code } = await cygnet('--run', String(run))
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringMatching(/ deleted +by Cygnet/) })
  })

  test('shows a file that the DAQ was seen to have, and does not take it for a verified copy', async () => {
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

  test('of a sample chooses by lot, the same with the same seed', async () => {
    await runs.put(key)
    const first = await cygnet('--sample', '0.5%', '--seed', 'a')
    expect(first).toMatchObject({ code: 0, out: expect.stringContaining('1 copy looked at') })
    expect((await cygnet('--sample', '0.5%')).error).toMatch(/--seed \w+ chooses the same/)
  })

  test('of dark copies tells what only the places and what only the catalogue have', async () => {
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

  test('says in its help what counts as dark', async () => {
    const { out } = await cygnet('--help')
    expect(out).toMatch(/--dark counts only what is named like a run.*written more than an hour ago/s)
  })

  test.each([
    [[], 'give one of'],
    [['--all', '--run', '5'], 'give one of'],
    [['--all', '--tag', 'LNGS'], '--tag belongs to --run'],
    [['--all', '--seed', 'a'], '--seed belongs to --sample'],
    [['--sample', '0%'], 'expected a share'],
    [['--sample', '101%'], 'expected a share'],
    [['--sample', 'few'], 'expected a share'],
    [['--run', '5x'], 'a whole number'],
  ])('refuses %j, saying why', async (args, why) => {
    const { code, error } = await cygnet(...args)
    expect(error).toContain(why)
    expect(code).not.toBe(0)
  })

  test('says that a run is not in the catalogue', async () => {
    expect(await cygnet('--run', '4000000000', '--tag', 'LNF')).toMatchObject({
      code: 1,
      error: expect.stringContaining('run 4000000000 of LNF is not in the catalogue'),
    })
  })
})
