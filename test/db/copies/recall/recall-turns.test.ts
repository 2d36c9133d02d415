/** The order in which recalls are advanced, and the states in which readers see waiting ones. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { fetchRecalls } from '../../../../shared/copies/recall/schedule.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { oldestWork } from '../../../../shared/queries/waiting-work.ts'
import { openBreakers, tapeBreaker, tapeReadBreaker } from '../../../../shared/work/breaker.ts'
import { advanceRecalls } from '../../../support/advance-recalls.ts'
import { drainRaised } from '../../../support/alerts.ts'
import { signal } from '../../../support/context.ts'
import type { RecallTape } from '../../../support/recall-tape.ts'
import { onlyOnTape } from '../../../support/recalled-runs.ts'
import { advanceRecall, freshRecalls, shownRecall } from '../../../support/recalls.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const HOUR = 3_600_000

let context: TestTapeContext
let tape: RecallTape
let clockMs: number
let number = 500
let here: TestTapeContext
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())
beforeEach(async () => {
  clockMs = Date.now()
  ;({ tape, here } = await freshRecalls(context, () => clockMs))
})

const ask = async (): Promise<number> => {
  await onlyOnTape(here, tape, ++number)
  // The task of its copy to tape is not part of these tests.
  await context.database.deleteFrom('tasks').where('kind', '=', 'tape-copy').execute()
  const choice = { runNumber: number, tag: 'LNGS' }
  const request = { days: 7, requestedBy: 'a shifter' }
  const { files } = await requestRecall(here, choice, request, here.now(), signal)
  return files[0]?.replicaId ?? 0
}
const askFor = async (runs: number) => {
  const ids: number[] = []
  while (ids.length < runs) ids.push(await ask())
  return ids
}
const advanceAll = () => advanceRecalls(here, signal, here.log)
const advance = (id: number, until = signal) => advanceRecall(here, id, until, here.log)
const row = (id: number) => shownRecall(context.database, id)
const failing = (error: Error): AsyncIterable<Uint8Array> => ({
  [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }),
})
const open = async () => {
  const { open: closed, halfOpen } = await openBreakers(context.database, here.now())
  return [...closed, ...halfOpen]
}

describe('files that the tape endpoint cannot provide', () => {
  test('do not open the breaker of the endpoint, and no other file waits for them', async () => {
    const ids = await askFor(4)
    tape.stage = () => Promise.reject(new TransientError('out of reach (UNAVAILABLE)', { missing: true }))
    await advanceAll()
    expect(await open()).toEqual([])
    for (const id of ids) expect(await row(id)).toMatchObject({ state: 'failed', attempts: 1 })
    expect((await row(ids[0] ?? 0)).nextAttemptAt).not.toBeNull()
  })

  test('do not open the breaker of the endpoint when they turn out to be missing while being read', async () => {
    await askFor(4)
    const { stage } = tape
    tape.stage = async (...asked) => {
      const staged = await stage(...asked)
      tape.read = () => failing(new TransientError('it has no such file', { missing: true }))
      return staged
    }
    await advanceAll()
    expect(await open()).toEqual([])
  })
})

describe('an endpoint that cannot be read', () => {
  const unreadable = () => {
    tape.read = () => failing(new TransientError('no drive works'))
  }

  test('stops recalls but not copies to it, and its alert states that reading fails', async () => {
    await askFor(4)
    unreadable()
    await advanceAll()
    expect(await open()).toEqual([tapeReadBreaker(tape.endpoint)])
    expect(await open()).not.toContain(tapeBreaker(tape.endpoint))
    for (let minute = 0; minute < 2; minute++) {
      clockMs += 61_000
      await advanceAll()
    }
    expect(await drainRaised(context)).toEqual([
      expect.objectContaining({
        rule: 'tape-endpoint-fails',
        summary: expect.stringMatching(
          /^reading from the tape endpoint davs:.* recalls wait, and the outage does not count/,
        ),
      }),
    ])
  })

  test('is not considered readable because it accepts a stage request', async () => {
    await askFor(3)
    unreadable()
    await advanceAll()
    expect(await open()).toHaveLength(1)
    tape.checksUntilOnline = 1000
    const id = await ask()
    clockMs += 61_000
    await advanceAll()
    await advanceAll()
    expect((await row(id)).state).toBe('staging')
    expect(await open()).toHaveLength(1)
  })

  test('is also one that reports that it sent a file which is not in the store', async () => {
    await askFor(3)
    tape.sends = true
    tape.send = async () => 'sent'
    await advanceAll()
    expect(await open()).toEqual([tapeReadBreaker(tape.endpoint)])
  })
})

test('staging of every file is requested before the first online file is fetched', async () => {
  tape.checksUntilOnline = 1
  const first = await ask()
  await advanceAll()
  expect(await row(first)).toMatchObject({ state: 'staging' })
  tape.checksUntilOnline = 3
  await askFor(3)
  tape.calls.length = 0
  clockMs += HOUR
  tape.stage = new Proxy(tape.stage, {
    async apply(stage, self, [file, options, during]) {
      // The first requested file is online.
      if (options.reference !== 'request-1') return await Reflect.apply(stage, self, [file, options, during])
      tape.calls.push('stage request-1')
      return { kind: 'online', reference: 'request-1' }
    },
  })
  await advanceAll()
  expect(tape.calls).toEqual(['stage request-1', ...Array(3).fill('stage anew'), 'stage request-1', 'read'])
})

test('one function fetches the files of many requests one at a time, and has all of them staged', async () => {
  await askFor(3)
  let reading = 0
  let most = 0
  tape.meanwhile = async () => {
    most = Math.max(most, ++reading)
    await new Promise((resolve) => setTimeout(resolve, 20))
    reading--
  }
  await fetchRecalls(here, 1, signal, here.log)
  expect(most).toBe(1)
  expect(tape.calls.slice(0, 3)).toEqual(Array(3).fill('stage anew'))
})

describe('readers see', () => {
  test('a recall whose file is online and waits for a function as staging, and its queue as waiting since then', async () => {
    tape.checksUntilOnline = 1
    const id = await ask()
    await advanceAll()
    clockMs += HOUR
    tape.meanwhile = () => Promise.reject(new TransientError('not reached'))
    await context.database.updateTable('tasks').set({ nextAttemptAt: here.now() }).execute()
    const stop = new AbortController()
    const { stage } = tape
    tape.stage = async (...asked) => {
      const staged = await stage(...asked)
      // The file becomes online, and no function continues.
      stop.abort()
      return staged
    }
    await advanceRecalls(here, stop.signal, here.log)
    const task = await context.database.selectFrom('tasks').selectAll().executeTakeFirstOrThrow()
    expect(task).toMatchObject({ state: 'waiting', attempts: 0 })
    expect(await row(id)).toMatchObject({ state: 'staging', lastError: null })
    // The test's clock is ahead of the database's.
    expect((await oldestWork(context.database)).get('recall-requests')).toBeUndefined()
    const nextAttemptAt = new Date(Date.now() - 5000)
    await context.database.updateTable('tasks').set({ nextAttemptAt }).execute()
    expect((await oldestWork(context.database)).get('recall-requests')).toEqual(nextAttemptAt)
  })

  test('a recall that waits because its function was stopped as requested, although an attempt failed before', async () => {
    const id = await ask()
    tape.pins = false
    tape.meanwhile = () => Promise.reject(new TransientError('the line broke'))
    expect(await advance(id)).toBe('failed')
    clockMs += HOUR
    const stop = new AbortController()
    tape.meanwhile = async () => stop.abort()
    expect(await advance(id, stop.signal)).toBe('requested')
    expect(await row(id)).toMatchObject({ attempts: 1, lastError: null })
  })

  test('a recall that failed and waits for its next attempt as failed, and no queue as waiting', async () => {
    const id = await ask()
    tape.meanwhile = () => Promise.reject(new TransientError('the line broke'))
    expect(await advance(id)).toBe('failed')
    expect(await row(id)).toMatchObject({ attempts: 1, nextAttemptAt: expect.any(Date) })
    expect((await oldestWork(context.database)).get('recall-requests')).toBeUndefined()
  })
})

test('over all functions, only so many files are brought back at the same time', async () => {
  const { config } = here
  const few = { ...here, config: { ...config, recall: { ...config.recall, atOnce: 2 } } }
  await askFor(4)
  const going = Promise.withResolvers<void>()
  let [reading, most] = [0, 0]
  tape.meanwhile = async () => {
    most = Math.max(most, ++reading)
    if (reading === 2) going.resolve()
    await released.promise
    reading--
  }
  const released = Promise.withResolvers<void>()
  const first = fetchRecalls(few, 3, signal, here.log)
  await going.promise
  const second = await fetchRecalls(few, 3, signal, here.log)
  expect(second).toEqual([])
  released.resolve()
  await first
  await fetchRecalls(few, 3, signal, here.log)
  expect(most).toBe(2)
})
