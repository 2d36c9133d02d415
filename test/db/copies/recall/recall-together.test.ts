/** Recalls of many runs: one stage request for all files, and everything else for each recall by itself. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { stageTogether } from '../../../../shared/copies/recall/stage-together.ts'
import { TransientError } from '../../../../shared/errors.ts'
import type { TapeFile } from '../../../../shared/tape/driver.ts'
import { shortenLeases } from '../../../../shared/work/lease.ts'
import { advanceRecalls } from '../../../support/advance-recalls.ts'
import { drainRaised } from '../../../support/alerts.ts'
import { signal } from '../../../support/context.ts'
import { type RecallTape, recallTape } from '../../../support/recall-tape.ts'
import { onlyOnTape, type TestRun } from '../../../support/recalled-runs.ts'
import { shownRecall, taskOfRecall } from '../../../support/recalls.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const MINUTE = 60_000

let context: TestTapeContext
let tape: RecallTape
let here: TestTapeContext & { readonly tape: RecallTape }
let clockMs: number
let number = 100
/** The names in each request of many files. */
let requests: string[][]
/** Called before the endpoint has such a request, and after. */
let before: () => Promise<void>
let after: () => Promise<void>

beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())
beforeEach(async () => {
  requests = []
  before = async () => {}
  after = async () => {}
  tape = recallTape()
  tape.stageAll = async (files) => {
    await before()
    requests.push(files.map(({ name }) => name))
    await after()
    return { reference: `all-${requests.length}`, files, leftOut: [] }
  }
  clockMs = Date.now()
  here = { ...context, tape, now: () => new Date(clockMs) }
  for (const table of ['tasks', 'breakers', 'recalls'] as const)
    await context.database.deleteFrom(table).execute()
  await drainRaised(context)
})

const nameOf = (run: TestRun) => `${context.bucket}/${run.key}`
const advance = () => advanceRecalls(here, signal, here.log)
/** Requests new runs that are only on tape. */
async function requestRuns(count: number) {
  const runs: TestRun[] = []
  const ids: number[] = []
  for (let made = 0; made < count; made++) {
    const run = await onlyOnTape(here, tape, ++number)
    const options = { days: 7, requestedBy: 'test' }
    const { files } = await requestRecall(
      here,
      { runNumber: number, tag: 'LNGS' },
      options,
      here.now(),
      signal,
    )
    runs.push(run)
    ids.push(files[0]?.replicaId ?? 0)
  }
  return { names: runs.map(nameOf), ids }
}
const states = async (ids: readonly number[]) => {
  const rows = await Promise.all(ids.map((id) => shownRecall(context.database, id)))
  return rows.map(({ state }) => state)
}
const singles = () => tape.calls.filter((call) => call === 'stage anew').length
/** What a killed function leaves: leases that are over. */
const expireLeases = () =>
  context.database
    .updateTable('tasks')
    .set({ leaseUntil: new Date(Date.now() - MINUTE) })
    .where('leaseUntil', 'is not', null)
    .execute()
/** Runs a beat that is killed at a point, and then continues no more. */
async function killedAt(point: 'before' | 'after') {
  const reached = Promise.withResolvers<void>()
  const stop = new AbortController()
  const hang = () => {
    reached.resolve()
    return new Promise<void>((_, reject) =>
      stop.signal.addEventListener('abort', () => reject(stop.signal.reason)),
    )
  }
  if (point === 'before') before = hang
  else after = hang
  const dead = stageTogether(here, stop.signal)
  await reached.promise
  before = async () => {}
  after = async () => {}
  await expireLeases()
  return async () => {
    stop.abort()
    await dead
  }
}

test('the files of many new recalls are requested from the endpoint with one request, in the order of the recalls', async () => {
  const { names, ids } = await requestRuns(4)
  tape.checksUntilOnline = 4
  await advance()
  expect(requests).toEqual([names])
  expect(singles()).toBe(0)
  expect(await states(ids)).toEqual(ids.map(() => 'staging'))
  for (const id of ids)
    expect(await taskOfRecall(context.database, id)).toMatchObject({ reference: { stage: 'all-1' } })
})

test('each recall of one request is brought back and released by itself', async () => {
  const { names, ids } = await requestRuns(3)
  tape.checksUntilOnline = 4
  await advance()
  expect(tape.released).toEqual([])
  clockMs += MINUTE
  await advance()
  expect(await states(ids)).toContain('staging')
  const some = [...tape.released]
  expect(some.length).toBeGreaterThan(0)
  expect(some.length).toBeLessThan(3)
  clockMs += MINUTE
  await advance()
  expect(await states(ids)).toEqual(ids.map(() => 'present'))
  expect(tape.released.toSorted()).toEqual(names.map((name) => `${name} all-1`).toSorted())
  expect(requests).toHaveLength(1)
})

test('one recall alone is requested by itself', async () => {
  const { ids } = await requestRuns(1)
  await advance()
  expect(await states(ids)).toEqual(['present'])
  expect(requests).toEqual([])
  expect(singles()).toBe(1)
})

test('a file that the endpoint leaves out of a request of many is requested by itself', async () => {
  const { names, ids } = await requestRuns(3)
  const all = tape.stageAll
  tape.stageAll = async (files: readonly TapeFile[], ...rest) => {
    const staged = await all?.(files.slice(1), ...rest)
    return staged == null ? null : { ...staged, leftOut: files.slice(0, 1) }
  }
  await advance()
  expect(requests).toEqual([names.slice(1)])
  expect(singles()).toBe(1)
  expect(await states(ids)).toEqual(ids.map(() => 'present'))
})

test('files that were not checked in time are requested together a minute later', async () => {
  const { names, ids } = await requestRuns(4)
  const all = tape.stageAll
  tape.stageAll = async (files: readonly TapeFile[], ...rest) =>
    (await all?.(files.slice(0, 2), ...rest)) ?? null
  await advance()
  expect(requests).toEqual([names.slice(0, 2)])
  clockMs += MINUTE
  await advance()
  expect(requests).toEqual([names.slice(0, 2), names.slice(2)])
  expect(singles()).toBe(0)
  expect(await states(ids)).toEqual(ids.map(() => 'present'))
})

test('recalls whose times were written by a clock that was days ahead are requested together', async () => {
  clockMs += 3 * 86_400_000
  const { names, ids } = await requestRuns(3)
  clockMs -= 3 * 86_400_000
  await advance()
  expect(requests).toEqual([names])
  expect(await states(ids)).toEqual(ids.map(() => 'present'))
})

test('two functions at the same time make one request for the same recalls', async () => {
  const { ids } = await requestRuns(3)
  const started = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  before = () => {
    started.resolve()
    return go.promise
  }
  const first = stageTogether(here, signal)
  await started.promise
  await stageTogether(here, signal)
  await advance()
  go.resolve()
  await first
  await advance()
  expect(requests).toHaveLength(1)
  expect(singles()).toBe(0)
  expect(await states(ids)).toEqual(ids.map(() => 'present'))
})

test.each([
  ['before', 1],
  ['after', 2],
] as const)(
  'a function that dies %s the endpoint has a request of many files is followed by one that makes it again: %i in all',
  async (point, all) => {
    const { names, ids } = await requestRuns(3)
    const end = await killedAt(point)
    await advance()
    expect(requests).toEqual(Array.from({ length: all }, () => names))
    expect(singles()).toBe(0)
    await end()
    expect(await states(ids)).toEqual(ids.map(() => 'present'))
    expect(new Set(tape.released)).toEqual(new Set(names.map((name) => `${name} all-${all}`)))
    expect(requests).toHaveLength(all)
  },
)

test('a function that was held up for longer than its lease does not replace the request of the next one', async () => {
  const { ids } = await requestRuns(2)
  const late = Promise.withResolvers<void>()
  const reached = Promise.withResolvers<void>()
  before = () => {
    reached.resolve()
    return late.promise
  }
  const slow = stageTogether(here, signal)
  await reached.promise
  before = async () => {}
  await expireLeases()
  tape.checksUntilOnline = 2
  await advance()
  late.resolve()
  await slow
  for (const id of ids)
    expect(await taskOfRecall(context.database, id)).toMatchObject({
      state: 'pending',
      reference: { stage: 'all-1' },
    })
})

test('a function that is stopped during the request gives the recalls back at once', async () => {
  const { names, ids } = await requestRuns(2)
  const stop = new AbortController()
  before = async () => {
    stop.abort()
    throw stop.signal.reason
  }
  await stageTogether(here, stop.signal)
  before = async () => {}
  await advance()
  expect(requests).toEqual([names])
  expect(await states(ids)).toEqual(['present', 'present'])
})

test('a request of many files that no function has time for is made file by file after three', async () => {
  const { ids } = await requestRuns(2)
  let tries = 0
  for (let killed = 0; killed < 4; killed++) {
    const stop = new AbortController()
    before = async () => {
      tries++
      stop.abort()
      throw stop.signal.reason
    }
    await stageTogether(here, stop.signal)
  }
  expect(tries).toBe(3)
  await advance()
  expect(singles()).toBe(2)
  expect(await states(ids)).toEqual(['present', 'present'])
})

test('a request of many files that fails three times is made file by file', async () => {
  const { ids } = await requestRuns(2)
  let tries = 0
  before = async () => {
    tries++
    throw new TransientError('too many files')
  }
  for (let beat = 0; beat < 5; beat++) {
    await advance()
    clockMs += MINUTE
  }
  expect(tries).toBe(3)
  expect(singles()).toBe(2)
  expect(await states(ids)).toEqual(['present', 'present'])
})

test('an endpoint that cannot be reached opens its breaker, and the files are requested together once one has worked', async () => {
  const { ids } = await requestRuns(3)
  let isDown = true
  before = async () => {
    if (isDown) throw new TransientError('connect ECONNREFUSED', { error: 'ECONNREFUSED' })
  }
  const { stage } = tape
  tape.stage = async (...asked) => {
    if (isDown) throw new TransientError('connect ECONNREFUSED', { error: 'ECONNREFUSED' })
    return await stage(...asked)
  }
  for (let beat = 0; beat < 8; beat++) {
    await advance()
    clockMs += MINUTE
  }
  isDown = false
  for (let beat = 0; beat < 3; beat++) {
    await advance()
    clockMs += MINUTE
  }
  expect(await states(ids)).toEqual(ids.map(() => 'present'))
  expect(singles()).toBe(1)
  expect(requests.map((names) => names.length)).toEqual([2])
})

test('leases of recalls requested together that a clock which was ahead wrote are shortened', async () => {
  await requestRuns(2)
  const end = await killedAt('before')
  await context.database
    .updateTable('tasks')
    .set({ leaseUntil: new Date(Date.now() + 2 * 1440 * MINUTE) })
    .where('leaseUntil', 'is not', null)
    .execute()
  expect(await shortenLeases(context.database, 3600)).toBe(2)
  await end()
})
