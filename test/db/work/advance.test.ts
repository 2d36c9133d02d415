/** The promises of shared/work for any kind of task, tested with a kind whose side effect is a number. */
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { inTransaction } from '../../../shared/database/connect.ts'
import { TransientError } from '../../../shared/errors.ts'
import { createLogger } from '../../../shared/log.ts'
import { advance, advanceNext } from '../../../shared/work/advance.ts'
import { blame, noteFailure } from '../../../shared/work/breaker.ts'
import type { Checked, Ending, TaskContext, TaskKind } from '../../../shared/work/task-kind.ts'
import { addTask, restartTask } from '../../../shared/work/tasks.ts'
import { signal, startTestContext, type TestContext } from '../../support/context.ts'
import { until } from '../../support/waiting.ts'

const log = createLogger({ function: 'test', level: 'silent' })
const DEPENDENCY = 'tape:place'
const MOST_AT_ONCE = 3
const FAILURES_TO_OPEN = 3

let context: TestContext
let host: TaskContext
let time: number
let checked: number[]
let acted: { readonly subject: number; readonly generation: number }[]
let check: (subject: number) => Promise<Checked<string>>
let act: (subject: number) => Promise<Ending<string>>
let outcomes: string[]
beforeAll(async () => {
  context = await startTestContext()
  host = { ...context, now: () => new Date(time) }
})
afterAll(() => context?.close())
beforeEach(async () => {
  time = new Date('2026-03-01T12:00:00Z').getTime()
  checked = []
  acted = []
  outcomes = []
  check = async () => ({ kind: 'to-do', jobEnded: null })
  act = async () => ({ kind: 'done', result: 'made' })
  for (const table of ['tasks', 'breakers', 'outbox'] as const)
    await context.database.deleteFrom(table).execute()
})

/** Subjects from 1000 on do not exist, those from 500 on cannot be read, those from 100 on need no work. */
const kind: TaskKind<TaskContext, number, string> = {
  kind: 'count',
  async load(_context, { subjectId }) {
    if (subjectId >= 1000) return null
    if (subjectId >= 500) throw new Error('the row cannot be read')
    return subjectId
  },
  fields: () => ({}),
  settled: (subject) => (subject >= 100 ? { kind: 'done', result: null } : null),
  async check(_context, { subject }) {
    checked.push(subject)
    return await check(subject)
  },
  async act(_context, { subject }, generation) {
    acted.push({ subject, generation })
    return await act(subject)
  },
  lock: async (_trx, subject) => subject,
  async outcome(_trx, _context, { subject }, { ending, change, wasToDo }) {
    outcomes.push(`${subject} ${ending.kind} ${change.state}${wasToDo ? ' was to do' : ''}`)
    return []
  },
}

const newTask = (subjectId: number, needs: string | null = null) =>
  ({
    kind: kind.kind,
    subjectId,
    runId: null,
    dependency: DEPENDENCY,
    needs,
    priority: 'live',
    requestedBy: 'test',
  }) as const
const add = (subjectId: number, needs: string | null = null) =>
  inTransaction(context.database, (trx) => addTask(trx, newTask(subjectId, needs), host.now()))
const options = {
  dependency: DEPENDENCY,
  turn: { of: 'due', mostAtOnce: MOST_AT_ONCE },
  limitSeconds: 60,
} as const
const next = () => advanceNext(host, kind, options, signal, log)
const checkPending = () => advanceNext(host, kind, { ...options, turn: { of: 'pending' } }, signal, log)
const all = () => advance(host, kind, { ...options, atOnce: 2 }, signal, log)
const task = (subjectId: number) =>
  context.database
    .selectFrom('tasks')
    .selectAll()
    .where('subjectId', '=', subjectId)
    .executeTakeFirstOrThrow()
const later = (seconds: number) => {
  time += seconds * 1000
}
const pending = (job: string, takesTurn = true): Ending<string> => ({
  kind: 'pending',
  reference: { job },
  reason: null,
  result: null,
  takesTurn,
})
/** Opens a breaker; one task may probe it from 15 s later on. */
const breakDown = async (dependency: string) => {
  for (const name of ['x:1', 'x:2', 'x:3'])
    await noteFailure(context.database, dependency, {
      task: name,
      hasFailedBefore: false,
      step: 'act',
      error: new TransientError('no'),
      reason: 'no',
      at: host.now(),
    })
}

describe('a task', () => {
  test('is given up if its subject is deleted, tried again if that cannot be read, and blocks no other task', async () => {
    for (const subject of [1000, 500, 1]) await add(subject)
    expect((await all()).map(({ ending }) => ending.kind).toSorted()).toEqual(['done', 'failed', 'given-up'])
    expect(await task(1000)).toMatchObject({ state: 'given-up', leaseOwner: null })
    expect(await task(500)).toMatchObject({ state: 'waiting', attempts: 1, leaseOwner: null })
    expect((await task(500)).nextAttemptAt.getTime()).toBeGreaterThan(time)
  })

  test('whose subject cannot be read is tried again beyond its deadline: giving it up needs the subject', async () => {
    await add(500)
    await context.database.updateTable('tasks').set({ deadlineAt: host.now() }).execute()
    expect((await next())?.ending.kind).toBe('failed')
    expect(await task(500)).toMatchObject({ state: 'waiting', attempts: 1, leaseOwner: null })
    expect((await task(500)).nextAttemptAt.getTime()).toBeGreaterThan(time)
  })

  test('ends although beforeEnd fails', async () => {
    await add(1)
    const failing = { ...kind, beforeEnd: () => Promise.reject(new Error('no')) }
    expect((await advanceNext(host, failing, options, signal, log))?.ending.kind).toBe('done')
    expect(await task(1)).toMatchObject({ state: 'done', leaseOwner: null })
  })

  test('whose check kills its function lets other tasks go first', async () => {
    for (const subject of [1, 2]) await add(subject)
    act = async (subject) => pending(`job ${subject}`)
    await all()
    later(60)
    const dying = advanceNext(
      host,
      { ...kind, check: () => new Promise<never>(() => {}) },
      { ...options, turn: { of: 'pending' } },
      signal,
      log,
    )
    dying.catch(() => {})
    const held = () =>
      context.database.selectFrom('tasks').select('subjectId').where('leaseOwner', 'is not', null).execute()
    await until(async () => (await held()).length === 1)
    const [first] = await held()
    await context.database
      .updateTable('tasks')
      .set({ leaseUntil: sql<Date>`UTC_TIMESTAMP(3) - INTERVAL 1 SECOND`, leaseOwner: 'dead' })
      .where('leaseOwner', 'is not', null)
      .execute()
    check = async () => ({ kind: 'done', result: 'there' })
    expect((await checkPending())?.task.subjectId).not.toBe(first?.subjectId)
    expect(await checkPending()).toBeNull()
  })

  test('that is not needed any more according to the facts ends without a request to the dependency', async () => {
    await add(100)
    expect((await next())?.ending.kind).toBe('done')
    expect(checked).toEqual([])
    expect(await task(100)).toMatchObject({ state: 'done' })
  })

  test('whose function died repeatedly is tried with growing delays and alerted as failing', async () => {
    await add(1)
    const die = () =>
      context.database
        .updateTable('tasks')
        .set({ state: 'running', leaseOwner: 'dead', leaseUntil: sql`UTC_TIMESTAMP(3) - INTERVAL 1 SECOND` })
        .execute()
    await context.database.updateTable('tasks').set({ attempts: 5 }).execute()
    await die()
    act = async () => ({ kind: 'busy', reason: 'another' })
    // The sixth attempt starts at once.
    expect((await next())?.ending.kind).toBe('busy')
    await context.database.updateTable('tasks').set({ attempts: 6 }).execute()
    await die()
    expect((await next())?.ending.kind).toBe('failed')
    expect(outcomes.at(-1)).toBe('1 failed failing')
    expect(await next()).toBeNull()
    later(7 * 3600)
    act = async () => ({ kind: 'done', result: 'made' })
    expect((await next())?.ending.kind).toBe('done')
  })

  test('requests another job only after the previous one has ended, with a new generation', async () => {
    await add(1)
    act = async () => pending('first')
    await next()
    expect(await task(1)).toMatchObject({ state: 'pending', reference: { job: 'first' }, generation: 1 })
    check = async () => ({ kind: 'to-do', jobEnded: 'it failed' })
    later(60)
    expect((await checkPending())?.ending).toMatchObject({ kind: 'failed', jobEnded: true })
    expect(await task(1)).toMatchObject({ state: 'waiting', reference: null, generation: 2 })
    // The job has ended between two checks.
    await context.database.updateTable('tasks').set({ reference: '{"job":"second"}' }).execute()
    later(600)
    act = async () => {
      throw new TransientError('the answer was lost')
    }
    await next()
    act = async () => pending('third')
    later(1200)
    await next()
    expect(acted.map(({ generation }) => generation)).toEqual([1, 3, 3])
    expect(await task(1)).toMatchObject({ state: 'pending', reference: { job: 'third' }, generation: 3 })
  })

  test('that is restarted requests another job than before', async () => {
    await add(1)
    await next()
    await inTransaction(context.database, (trx) => restartTask(trx, newTask(1), host.now()))
    await next()
    expect(acted.map(({ generation }) => generation)).toEqual([1, 2])
  })

  test('corrects facts that state a side effect which was not found', async () => {
    await add(1)
    act = async () => {
      throw new TransientError('no')
    }
    await next()
    expect(outcomes).toEqual(['1 failed waiting was to do'])
  })
})

describe('a deadline', () => {
  test.each<[string, () => Promise<Ending<string>>]>([
    ['failed', () => Promise.reject(new TransientError('no'))],
    ['waits for another', async () => ({ kind: 'busy', reason: 'another' })],
    ['waits for a job outside', async () => pending('job')],
    ['is interrupted', async () => ({ kind: 'interrupted', reason: 'stopped' })],
  ])('that passes during an attempt which then %s ends the task after beforeEnd', async (_, how) => {
    await add(1)
    const deadlineAt = new Date(time + 1000)
    await context.database.updateTable('tasks').set({ deadlineAt }).execute()
    const ends: string[] = []
    const ending: typeof kind = {
      ...kind,
      async act() {
        later(1)
        return await how()
      },
      async beforeEnd(_context, { task: of }) {
        expect(await task(1)).toMatchObject({ state: 'running', leaseOwner: of.leaseOwner })
        ends.push(of.name)
      },
    }
    await advanceNext(host, ending, options, signal, log)
    expect(ends).toEqual(['count:1'])
    expect(await task(1)).toMatchObject({
      state: 'given-up',
      lastError: expect.stringMatching(/^it was not done in time: /),
    })
  })

  test('does not end a task that can continue here at once', async () => {
    await add(1)
    await context.database.updateTable('tasks').set({ deadlineAt: host.now() }).execute()
    act = async () => ({ kind: 'ready' })
    await next()
    expect(await task(1)).toMatchObject({ state: 'waiting', attempts: 0, lastError: null })
  })
})

describe('claims', () => {
  test('of untried tasks skip tried ones, which count as untried again after a restart', async () => {
    for (const subject of [1, 2]) await add(subject)
    act = async () => ({ kind: 'ready' })
    const untried = { ...options, turn: { ...options.turn, onlyUntried: true } } as const
    const nextUntried = async () => (await advanceNext(host, kind, untried, signal, log))?.task.subjectId
    expect([await nextUntried(), await nextUntried(), await nextUntried()]).toEqual([1, 2, undefined])
    await inTransaction(context.database, (trx) => restartTask(trx, newTask(2), host.now()))
    expect([await nextUntried(), await nextUntried()]).toEqual([2, undefined])
  })

  test('are limited by external jobs in progress, not by files that only wait there', async () => {
    for (let subject = 1; subject <= 8; subject++) await add(subject)
    act = async (subject) => pending(`job ${subject}`, subject > 2)
    expect(await all()).toHaveLength(2 + MOST_AT_ONCE)
    check = async () => ({ kind: 'done', result: 'there' })
    later(60)
    while ((await checkPending()) !== null);
    expect(await all()).toHaveLength(3)
  })
})

describe('an open breaker', () => {
  test('of a dependency that some tasks need stops those, writes nothing, and does not stop others', async () => {
    for (const subject of [1, 2, 3]) await add(subject, 'store:dead')
    await add(4, 'store:alive')
    await add(5)
    await breakDown('store:dead')
    expect((await all()).map(({ task: { subjectId } }) => subjectId).toSorted()).toEqual([4, 5])
    expect(await task(1)).toMatchObject({ state: 'waiting', attempts: 0, lastError: null })
    // One of them probes.
    later(20)
    await all()
    expect(acted.filter(({ subject }) => subject <= 3).length).toBe(3)
  })

  test.each([
    ['a task that the facts want no more', 100],
    ['a task whose subject is gone', 1000],
    ['a task whose subject cannot be read', 500],
    ['a check that asks nothing of it', 1],
    ['a function that is stopped', 2],
  ])('lets the next task probe at once after %s', async (_, subject) => {
    await add(subject)
    later(1)
    await add(3)
    await breakDown(DEPENDENCY)
    later(60)
    const stop = new AbortController()
    check = async (of) => {
      if (of === 1) return { kind: 'busy', reason: 'another', dependencyUnused: true }
      if (of === 2) stop.abort()
      return { kind: 'to-do', jobEnded: null }
    }
    act = async (of) => {
      if (of === 2) throw new Error('stopped')
      return { kind: 'done', result: 'made' }
    }
    expect((await advanceNext(host, kind, options, stop.signal, log))?.task.subjectId).toBe(subject)
    // An interrupted task would be the next probe itself.
    await context.database.deleteFrom('tasks').where('subjectId', '=', subject).execute()
    expect((await next())?.task.subjectId).toBe(3)
    expect(await task(3)).toMatchObject({ state: 'done' })
  })

  test('that failed side effects have opened is not closed by a successful check', async () => {
    await add(1)
    act = async () => pending('job')
    await next()
    await breakDown(DEPENDENCY)
    check = async () => pending('job')
    later(60)
    await checkPending()
    const { failures, openSince } = await context.database
      .selectFrom('breakers')
      .selectAll()
      .executeTakeFirstOrThrow()
    expect([failures, openSince === null]).toEqual([3, false])
    // The next side effect may probe at once.
    await add(2)
    act = async () => ({ kind: 'done', result: 'made' })
    check = async () => ({ kind: 'to-do', jobEnded: null })
    expect((await next())?.task.subjectId).toBe(2)
    later(60)
    expect((await checkPending())?.task.subjectId).toBe(1)
  })

  test('of a service that answers checks and refuses side effects is alerted, and costs no attempts', async () => {
    for (let subject = 1; subject <= 9; subject++) await add(subject)
    act = async () => {
      throw new TransientError('no space')
    }
    for (let minute = 0; minute < 180; minute++) {
      await all()
      later(60)
    }
    const names = await context.database.selectFrom('outbox').select('name').execute()
    expect(names).toHaveLength(1)
    const tasks = await context.database.selectFrom('tasks').select('attempts').execute()
    expect(tasks.reduce((sum, { attempts }) => sum + attempts, 0)).toBeLessThan(FAILURES_TO_OPEN)
    // One probe a minute.
    expect(acted.length).toBeGreaterThan(170)
    expect(acted.length).toBeLessThan(190)
  })

  test.each([[[1]], [[1, 2]]])(
    'of a store where objects %o always fail lets the others succeed within some minutes',
    async (bad) => {
      for (let subject = 1; subject <= 8; subject++) await add(subject, 'store:one')
      act = async (subject) => {
        if (bad.includes(subject)) throw blame('store:one', new TransientError('500'))
        return { kind: 'done', result: 'made' }
      }
      await breakDown('store:one')
      for (let minute = 0; minute < 5; minute++) {
        later(60)
        await all()
      }
      const states = await context.database.selectFrom('tasks').select(['subjectId', 'state']).execute()
      const done = states.filter(({ state }) => state === 'done').map(({ subjectId }) => subjectId)
      expect(done).toHaveLength(8 - bad.length)
    },
  )

  test('does not result from errors of the database, nor of the follow-up of an attempt', async () => {
    for (let subject = 1; subject <= 4; subject++) await add(subject)
    act = async () => {
      throw Object.assign(new Error('Lock wait timeout exceeded'), { code: 'ER_LOCK_WAIT_TIMEOUT' })
    }
    await all()
    expect(await context.database.selectFrom('breakers').select('failures').executeTakeFirst()).toEqual({
      failures: 0,
    })
    later(600)
    act = async () => ({ kind: 'done', result: 'made' })
    const failing = { ...kind, afterwards: () => Promise.reject(new Error('no')) }
    expect((await advanceNext(host, failing, options, signal, log))?.ending.kind).toBe('done')
  })

  test('costs no attempts, and a task that always fails does not keep the others from probing', async () => {
    for (let subject = 1; subject <= 5; subject++) await add(subject)
    act = async (subject) => {
      if (subject === 1) throw blame(DEPENDENCY, new TransientError('this one always fails'))
      return { kind: 'done', result: 'made' }
    }
    await breakDown(DEPENDENCY)
    for (let minute = 0; minute < 4; minute++) {
      later(60)
      await all()
    }
    expect((await task(1)).state).not.toBe('done')
    for (let subject = 2; subject <= 5; subject++) expect((await task(subject)).state).toBe('done')
  })
})

describe('turns', () => {
  test('of pending tasks go to the one whose check is due for longest, whatever the order of the requests', async () => {
    act = async (subject) => pending(`job ${subject}`, false)
    check = async () => ({ kind: 'to-do', jobEnded: null })
    for (const subject of [1, 2, 3]) {
      await add(subject)
      later(1)
      await next()
    }
    check = async (subject) => pending(`job ${subject}`, false)
    checked = []
    // A slow endpoint: time for two checks until the first is due again.
    for (let turn = 0; turn < 2; turn++) {
      later(1200)
      await checkPending()
      await checkPending()
    }
    expect(new Set(checked)).toEqual(new Set([1, 2, 3]))
  })

  test.each<[string, 'untried' | 'tried', () => Promise<Ending<string>>]>([
    ['was interrupted', 'untried', async () => ({ kind: 'interrupted', reason: 'stopped' })],
    ['found its dependency unavailable', 'untried', async () => ({ kind: 'unavailable', reason: 'down' })],
    ['failed', 'tried', () => Promise.reject(new TransientError('no'))],
  ])('a task whose attempt %s counts as %s', async (_, counts, how) => {
    await add(1)
    act = how
    await next()
    const { startedAt } = await task(1)
    expect(startedAt === null ? 'untried' : 'tried').toBe(counts)
  })
})

describe('a time that was written while the clock of the database was days ahead', () => {
  test.each([
    ['waiting', 7 * 3600],
    ['failing', 7 * 3600],
    ['pending', 1000],
  ] as const)('makes a %s task due, unless it may be a back-off', async (state, longestSeconds) => {
    await add(1)
    await add(2)
    await context.database.updateTable('tasks').set({ state, reference: '{"job":"a"}' }).execute()
    const dueIn = (subjectId: number, seconds: number) =>
      context.database
        .updateTable('tasks')
        .set({ nextAttemptAt: new Date(time + seconds * 1000) })
        .where('subjectId', '=', subjectId)
        .execute()
    await dueIn(1, 0.9 * longestSeconds)
    await dueIn(2, 2 * 86_400)
    check = async () => ({ kind: 'done', result: 'found' })
    const claim = state === 'pending' ? checkPending : next
    expect(await claim()).not.toBeNull()
    expect(await claim()).toBeNull()
    expect(checked).toEqual([2])
  })
})
