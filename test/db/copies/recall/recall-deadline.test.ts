/** Recalls that are slow, stopped or requested again around their deadline. */
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { signal } from '../../../support/context.ts'
import { type RecallTape, recallTape } from '../../../support/recall-tape.ts'
import { onlyOnTape, replicaOf } from '../../../support/recalled-runs.ts'
import { advanceRecall, shownRecall, taskOfRecall } from '../../../support/recalls.ts'
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
  tape = recallTape()
  clockMs = Date.now()
  here = { ...context, tape, now: () => new Date(clockMs) }
  for (const table of ['tasks', 'breakers', 'recalls'] as const)
    await context.database.deleteFrom(table).execute()
  await context.drain('alerts')
})

const request = async (): Promise<number> => {
  const choice = { runNumber: number, tag: 'LNGS' }
  const { files } = await requestRecall(here, choice, { days: 7, requestedBy: 'test' }, here.now(), signal)
  return files[0]?.replicaId ?? 0
}
const advance = (id: number, until = signal) => advanceRecall(here, id, until, here.log)
const row = (id: number) => shownRecall(context.database, id)
const alerts = async () => (await context.drain('alerts')).map(({ rule }) => rule)
const pastDeadline = () => {
  clockMs += context.config.recall.hours * HOUR
}
/** Never answers. */
const hang = (until: AbortSignal) =>
  new Promise<never>((_, reject) => until.addEventListener('abort', () => reject(until.reason)))

test('a recall whose function is stopped while it reads, past the deadline, is given up, alerted once and released', async () => {
  const run = await onlyOnTape(here, tape, number)
  const id = await request()
  pastDeadline()
  const stop = new AbortController()
  tape.meanwhile = async () => stop.abort()
  expect(await advance(id, stop.signal)).toBe('failed')
  expect(await row(id)).toMatchObject({ nextAttemptAt: null, reference: null })
  expect(await alerts()).toEqual(['recall-failed'])
  expect(tape.released).toEqual([`${context.bucket}/${run.key} request-1`])
})

test('a recall whose function is stopped while it verifies the copy on tape at the deadline is given up with its reason', async () => {
  const run = await onlyOnTape(here, tape, number)
  tape.checksUntilOnline = 1000
  const id = await request()
  expect(await advance(id)).toBe('staging')
  pastDeadline()
  const stop = new AbortController()
  tape.check = (_file, _options, until) => {
    const hanging = hang(until)
    stop.abort()
    return hanging
  }
  tape.stage = () => Promise.reject(new Error('no drive'))
  expect(await advance(id, stop.signal)).toBe('failed')
  expect(await row(id)).toMatchObject({ nextAttemptAt: null, lastError: expect.stringContaining('no drive') })
  expect(await alerts()).toEqual(['recall-failed'])
  expect(tape.released).toEqual([`${context.bucket}/${run.key} request-1`])
  expect((await taskOfRecall(context.database, id))?.reference).toBeNull()
})

test('a copy on tape that cannot be read within a minute at the end of a recall keeps its state', async () => {
  const run = await onlyOnTape(here, tape, number)
  tape.checksUntilOnline = 1000
  const id = await request()
  expect(await advance(id)).toBe('staging')
  pastDeadline()
  tape.check = (_file, _options, until) => hang(until)
  const { timeout } = AbortSignal
  const shorter = vi
    .spyOn(AbortSignal, 'timeout')
    .mockImplementation((ms) => timeout(ms === 60_000 ? 50 : ms))
  try {
    expect(await advance(id)).toBe('failed')
  } finally {
    shorter.mockRestore()
  }
  expect(await alerts()).toEqual(['recall-failed'])
  expect(await replicaOf(here, run, 'tape')).toMatchObject({ state: 'on-media' })
})
