import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import * as link from '../../../../cli/commands/link.ts'
import * as recall from '../../../../cli/commands/recall.ts'
import { createHandler } from '../../../../functions/catalog-api/handler.ts'
import { temporaryFolder } from '../../../../infra/local/testing.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { advanceRecalls } from '../../../support/advance-recalls.ts'
import { cygnet as run, serve } from '../../../support/cli/in-process.ts'
import { signal } from '../../../support/context.ts'
import { type RecallTape, recallTape } from '../../../support/recall-tape.ts'
import { deleteFromStore, makeRun, onlyOnTape, replicaOf } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { LONGEST_WAIT_MS } from '../../../support/waiting.ts'

let context: TestTapeContext
let here: TestTapeContext
let tape: RecallTape
let api: Awaited<ReturnType<typeof serve>>
let token: string
let number = 800
beforeAll(async () => {
  context = await startTestTapeContext({ environment: { CYGNET_REQUESTS_PER_MINUTE: '0' } })
  const app = createHandler(context)
  api = await serve({ fetch: (request) => app.fetch(request) })
  const wanted = { name: 'ana', scopes: ['read:*', 'link:*', 'recall:*'], days: 1 }
  token = (await createToken(context.database, wanted, new Date())).secret
})
afterAll(async () => {
  await api?.close()
  await context.close()
})
beforeEach(() => {
  number++
  tape = recallTape()
  here = { ...context, tape }
})
afterEach(() => {
  vi.unstubAllEnvs()
})

const cygnet = (command: 'recall' | 'link', ...args: readonly string[]) => {
  const environment = {
    CYGNET_API_URL: api.url,
    CYGNET_API_TOKEN: token,
    CYGNET_FOLDER: temporaryFolder(),
  }
  return run([recall, link], environment, command, ...args, String(number))
}

describe('cygnet recall', () => {
  test('the recall of a run in the store ends with 0 and prints until when it is kept', async () => {
    await makeRun(here, number)
    const { code, stdout } = await cygnet('recall', '--days', '30')
    expect(code).toBe(0)
    expect(stdout).toMatch(/present +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/)
  })

  test('the recall of a run that is only on tape ends with 3: it is in progress', async () => {
    const run = await onlyOnTape(here, tape, number)
    const { code, stdout } = await cygnet('recall', '--json')
    expect(code).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({
      runNumber: number,
      tag: 'LNGS',
      files: [{ key: run.key, state: 'requested', md5: run.md5 }],
    })
    expect(await replicaOf(here, run, 'recall')).toMatchObject({ requestedBy: 'ana' })
  })

  test('recall --wait prints the states, and ends with 0 when the run is in the store', async () => {
    await onlyOnTape(here, tape, number)
    const waiting = cygnet('recall', '--wait')
    const bringing = vi.waitUntil(async () => (await advanceRecalls(here, signal, here.log)).present > 0, {
      timeout: LONGEST_WAIT_MS,
      interval: 50,
    })
    const { code, stdout, stderr } = await waiting
    await bringing
    expect(code).toBe(0)
    expect(stdout).toContain('present')
    expect(stderr).toMatch(/present/)
  })

  test('recall --wait ends with 1 and the reason when the recall fails', async () => {
    const run = await onlyOnTape(here, tape, number)
    await context.put(run.key, 'another run')
    const waiting = cygnet('recall', '--wait')
    const trying = vi.waitUntil(async () => (await advanceRecalls(here, signal, here.log)).failed > 0, {
      timeout: LONGEST_WAIT_MS,
      interval: 50,
    })
    const { code, stdout } = await waiting
    await trying
    expect(code).toBe(1)
    expect(stdout).toContain('the store holds other contents')
  })

  test('the recall of an unknown run, or of one without a copy, is an error with a sentence', async () => {
    expect((await cygnet('recall')).error).toContain(`run ${number} is not in the catalogue`)
    await deleteFromStore(here, await makeRun(here, number))
    expect((await cygnet('recall')).error).toContain('cannot be brought back')
  })

  test.each(['0', '-1', 'x', '1.5'])('--days %s is refused', async (days) => {
    expect((await cygnet('recall', `--days=${days}`)).error).toMatch(/A whole number from 1/)
  })
})

describe('cygnet recall --range', () => {
  const recallRange = (...args: readonly string[]) => {
    const environment = {
      CYGNET_API_URL: api.url,
      CYGNET_API_TOKEN: token,
      CYGNET_FOLDER: temporaryFolder(),
    }
    return run([recall], environment, 'recall', '--range', `${number}..${number + 9}`, ...args)
  }
  beforeEach(() => {
    number += 20
  })

  test('prints the plan and requests nothing unless it is confirmed', async () => {
    await onlyOnTape(here, tape, number, 2000)
    await makeRun(here, number + 1)
    const { code, stdout } = await recallRange()
    expect(code).toBe(1)
    expect(stdout).toMatch(/2 runs of LNGS from .*\n.*to be fetched from tape +1 +2\.00 kB/)
    expect(stdout).toContain('nothing was requested: add --yes')
    expect(
      await context.database.selectFrom('recalls').select('id').where('runNumber', '>=', number).execute(),
    ).toEqual([])
  })

  test('with --yes requests the runs and ends with 3 while they are in progress', async () => {
    await onlyOnTape(here, tape, number, 2000)
    await onlyOnTape(here, tape, number + 1, 2000)
    const { code, stdout } = await recallRange('--yes', '--json')
    expect(code).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({ runs: 2, recalling: { files: 2, sizeBytes: 4000 } })
    await advanceRecalls(here, signal, here.log)
    expect((await recallRange()).stdout).toMatch(/already in the store: kept there +2 /)
    const waiting = recallRange('--yes', '--wait')
    await vi.waitUntil(async () => (await advanceRecalls(here, signal, here.log)).present > 0, {
      timeout: LONGEST_WAIT_MS,
      interval: 50,
    })
    await advanceRecalls(here, signal, here.log)
    expect(await waiting).toMatchObject({ code: 0, stdout: expect.stringContaining('in-store') })
  })

  test('--wait prints the progress of each run, and ends with 1 when one has failed', async () => {
    await onlyOnTape(here, tape, number, 2000)
    const other = await onlyOnTape(here, tape, number + 1, 2000)
    await context.put(other.key, 'another run')
    const waiting = recallRange('--yes', '--wait')
    await vi.waitUntil(async () => (await advanceRecalls(here, signal, here.log)).advanced > 0, {
      timeout: LONGEST_WAIT_MS,
      interval: 50,
    })
    const { code, stdout, stderr } = await waiting
    expect(code).toBe(1)
    expect(stderr).toContain(`run ${number} of LNGS: 1 of 1 files in the store`)
    expect(stdout).toContain('the store holds other contents')
  })

  test('a range without runs, or together with a run number, is an error with a sentence', async () => {
    expect((await recallRange()).error).toContain(`the catalogue has no runs from ${number} to ${number + 9}`)
    expect((await recallRange('12')).error).toContain('give a run number or --range')
  })
})

describe('cygnet link', () => {
  test('cygnet link prints only the links on standard output', async () => {
    const run = await makeRun(here, number)
    const { code, stdout, stderr } = await cygnet('link', '--seconds', '60')
    expect(code).toBe(0)
    const answer = await fetch(stdout.trim())
    expect(Buffer.from(await answer.arrayBuffer()).equals(run.bytes)).toBe(true)
    expect(stderr).toContain(run.md5)
    expect(stderr).toContain('valid until')
  })

  test('cygnet link for a run that is only on tape ends with 1 and states how to recall it; with --recall it ends with 3', async () => {
    await onlyOnTape(here, tape, number)
    const without = await cygnet('link')
    expect([without.code, without.stdout]).toEqual([1, ''])
    expect(without.stderr).toContain('add --recall')
    const recall = await cygnet('link', '--recall', '--json')
    expect(recall.code).toBe(3)
    expect(JSON.parse(recall.stdout)).toMatchObject({
      runNumber: number,
      files: [{ kind: 'recalling', state: 'requested' }],
    })
    expect((await cygnet('link')).stderr).toMatch(/recalling since .* \(requested\)/)
  })
})
