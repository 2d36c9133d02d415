/** Which recall is worked on when, and how readers see those that wait. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { advanceRecalls, fetchRecalls } from '../../../../shared/copies/recall/schedule.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { oldestWork } from '../../../../shared/queries/waiting-work.ts'
import { openBreakers, tapeBreaker, tapeReadBreaker } from '../../../../shared/work/breaker.ts'
import { signal } from '../../../support/context.ts'
import { type RecallTape, recallTape } from '../../../support/recall-tape.ts'
import { onlyOnTape } from '../../../support/recalled-runs.ts'
import { advanceRecall, shownRecall } from '../../../support/recalls.ts'
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
  tape = recallTape()
  clockMs = Date.now()
  here = { ...context, tape, now: () => new Date(clockMs) }
  for (const table of ['tasks', 'breakers', 'recalls'] as const)
    await context.database.deleteFrom(table).execute()
  await context.drain('alerts')
})

const ask = async (): Promise<number> => {
  await onlyOnTape(here, tape, ++number)
  // Its copy to tape is no part of this.
  await context.database.deleteFrom('tasks').where('kind', '=', 'tape-copy').execute()
  const choice = { runNumber: number, tag: 'LNGS' }
  const wish = { days: 7, requestedBy: 'a shifter' }
  const { files } = await requestRecall(here, choice, wish, here.now(), signal)
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

describe('files of recalls that are out of reach', () => {
  test('are no fault of the endpoint: nothing else waits for them', async () => {
    const ids = await askFor(4)
    tape.stage = () => Promise.reject(new TransientError('out of reach (UNAVAILABLE)', { missing: true }))
    await advanceAll()
    expect(await open()).toEqual([])
    for (const id of ids) expect(await row(id)).toMatchObject({ state: 'failed', attempts: 1 })
    expect((await row(ids[0] ?? 0)).nextAttemptAt).not.toBeNull()
  })

  test('are no fault of the endpoint when they are missing there once they are to be read', async () => {
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

  test('stops recalls and no copies to it, and is alerted as that', async () => {
    await askFor(4)
    unreadable()
    await advanceAll()
    expect(await open()).toEqual([tapeReadBreaker(tape.endpoint)])
    expect(await open()).not.toContain(tapeBreaker(tape.endpoint))
    for (let minute = 0; minute < 2; minute++) {
      clockMs += 61_000
      await advanceAll()
    }
    expect(await context.drain('alerts')).toEqual([
      expect.objectContaining({
        rule: 'tape-endpoint-fails',
        summary: expect.stringMatching(/^reading from the tape endpoint davs:.* recalls wait/),
      }),
    ])
  })

  test('is not taken for readable because it accepts to stage a file', async () => {
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

  test('is one that says it sent the file, and the store has not got it', async () => {
    await askFor(3)
    tape.sends = true
    tape.send = async () => 'sent'
    await advanceAll()
    expect(await open()).toEqual([tapeReadBreaker(tape.endpoint)])
  })
})

test('every file is asked of the endpoint before the first that can be read is brought', async () => {
  tape.checksUntilOnline = 1
  const first = await ask()
  await advanceAll()
  expect(await row(first)).toMatchObject({ state: 'staging' })
  tape.checksUntilOnline = 3
  await askFor(3)
  tape.asked.length = 0
  clockMs += HOUR
  tape.stage = new Proxy(tape.stage, {
    async apply(stage, self, [file, options, during]) {
      // What was asked for first is there.
      if (options.reference !== 'request-1') return await Reflect.apply(stage, self, [file, options, during])
      tape.asked.push('stage request-1')
      return { kind: 'online', reference: 'request-1' }
    },
  })
  await advanceAll()
  expect(tape.asked).toEqual(['stage request-1', ...Array(3).fill('stage anew'), 'stage request-1', 'read'])
})

test('of many requests one function brings one at a time, and has all of them staged', async () => {
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
  expect(tape.asked.slice(0, 3)).toEqual(Array(3).fill('stage anew'))
})

describe('readers see a recall', () => {
  test('that can be read and waits for a function as being staged, and its queue waits since then', async () => {
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
      // It becomes readable, and no function goes on with it.
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

  test('that waits because its function was stopped as requested, though an attempt had failed before', async () => {
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

  test('that failed and waits for its next attempt as failed, and no queue waits', async () => {
    const id = await ask()
    tape.meanwhile = () => Promise.reject(new TransientError('the line broke'))
    expect(await advance(id)).toBe('failed')
    expect(await row(id)).toMatchObject({ attempts: 1, nextAttemptAt: expect.any(Date) })
    expect((await oldestWork(context.database)).get('recall-requests')).toBeUndefined()
  })
})
