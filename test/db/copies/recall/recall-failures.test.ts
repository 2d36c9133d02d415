/** Failures of recalls that are due to the file: wrong bytes, staging that fails. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { signal } from '../../../support/context.ts'
import type { RecallTape } from '../../../support/recall-tape.ts'
import { onlyOnTape } from '../../../support/recalled-runs.ts'
import { advanceRecall, freshRecalls, shownRecall, taskOfRecall } from '../../../support/recalls.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const HOUR = 3_600_000

let context: TestTapeContext
let tape: RecallTape
let clockMs: number
let number = 100
let here: TestTapeContext
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())
beforeEach(async () => {
  number++
  clockMs = Date.now()
  ;({ tape, here } = await freshRecalls(context, () => clockMs))
})

const request = async (): Promise<number> => {
  const choice = { runNumber: number, tag: 'LNGS' }
  const { files } = await requestRecall(here, choice, { days: 7, requestedBy: 'test' }, here.now(), signal)
  return files[0]?.replicaId ?? 0
}
const advance = (id: number) => advanceRecall(here, id, signal, here.log)
const row = (id: number) => shownRecall(context.database, id)
/** Advances when it is due again. */
const next = async (id: number) => {
  clockMs = (await taskOfRecall(context.database, id))?.nextAttemptAt.getTime() ?? clockMs
  return await advance(id)
}

test('only readings that gave wrong bytes count as readings: a recall is given up after the third', async () => {
  await onlyOnTape(here, tape, number)
  const id = await request()
  const { stage } = tape
  tape.stage = () => Promise.reject(new TransientError('it cannot be read', { missing: true }))
  expect(await advance(id)).toBe('failed')
  expect(await next(id)).toBe('failed')
  tape.stage = stage
  tape.damage = (bytes) => bytes.map((byte) => byte ^ 1)
  for (const reading of [1, 2]) {
    expect(await next(id)).toBe('failed')
    expect(tape.calls.filter((call) => call === 'read')).toHaveLength(reading)
    expect((await row(id)).nextAttemptAt).not.toBeNull()
  }
  await next(id)
  expect(await row(id)).toMatchObject({
    nextAttemptAt: null,
    lastError: expect.stringContaining('(read 3 times)'),
  })
})

test('wrong readings of an earlier recall of the same file do not count', async () => {
  await onlyOnTape(here, tape, number)
  const id = await request()
  tape.damage = (bytes) => bytes.map((byte) => byte ^ 1)
  await advance(id)
  await next(id)
  clockMs += context.config.recall.hours * HOUR
  tape.stage = () => Promise.reject(new TransientError('it cannot be read', { missing: true }))
  await advance(id)
  expect(await row(id)).toMatchObject({ nextAttemptAt: null })
  expect((await taskOfRecall(context.database, id))?.reference).toBeNull()
})

test('staging that fails is a failure of the file: counted, with its reason, requested again after growing delays', async () => {
  await onlyOnTape(here, tape, number)
  tape.checksUntilOnline = 1000
  const id = await request()
  expect(await advance(id)).toBe('staging')
  expect((await row(id)).lastError).toBe('in the queue of the library')
  const asked: (string | null)[] = []
  tape.stage = async (_, { reference }) => {
    asked.push(reference)
    return reference === null
      ? { kind: 'staging', reference: `again-${asked.length}`, reason: 'queued' }
      : { kind: 'failed', reference: null, reason: 'FAILED: the cartridge is broken' }
  }
  const until = clockMs + 4 * HOUR
  while (clockMs < until || (await row(id)).state === 'staging') await next(id)
  expect(await row(id)).toMatchObject({ lastError: expect.stringContaining('the cartridge is broken') })
  expect((await taskOfRecall(context.database, id))?.attempts).toBeGreaterThanOrEqual(7)
  expect(asked.filter((reference) => reference === null).length).toBeLessThanOrEqual(9)
  expect(await context.database.selectFrom('breakers').select('openSince').execute()).toEqual([
    { openSince: null },
  ])
})
