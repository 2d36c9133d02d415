/**
 * Tests the promise of shared/work/advance.ts for a kind of task: whenever its function dies, another
 * function continues the task; in the end it is done, and its side effect has happened once. Every kind of
 * task must pass this suite.
 */
import { sql } from 'kysely'
import { beforeEach, describe, expect, test } from 'vitest'
import { TransientError } from '../../../shared/errors.ts'
import { createLogger } from '../../../shared/log.ts'
import { type AdvanceOptions, advanceNext } from '../../../shared/work/advance.ts'
import type { TaskContext, TaskKind } from '../../../shared/work/task-kind.ts'
import { signal } from '../context.ts'
import { until } from '../waiting.ts'

const log = createLogger({ function: 'test', level: 'silent' })

/**
 * Where a function dies. `end` is `beforeEnd`; `outcome` is within the transaction, which is rolled back when
 * its connection is closed.
 */
const MOMENTS = [
  'before check',
  'after check',
  'before act',
  'after act',
  'before end',
  'after end',
  'before outcome',
  'after outcome',
] as const
type Moment = (typeof MOMENTS)[number]

export interface Killable<Host extends TaskContext, Subject, Result> {
  readonly context: Host
  readonly kind: TaskKind<Host, Subject, Result, number | null>
  readonly options: Omit<AdvanceOptions, 'atOnce'>
  /** Requests one task whose side effect has not happened. */
  request(): Promise<void>
  /** How often the side effect was requested since `request`. */
  acts(): number
  /** How often the side effect exists. */
  effects(): number | Promise<number>
  /** Whether the facts state that it exists. */
  isRecorded(): Promise<boolean>
}

export function killSuite<Host extends TaskContext, Subject, Result>(
  name: string,
  killable: () => Killable<Host, Subject, Result>,
): void {
  describe(`${name}, whose function dies`, () => {
    let of: Killable<Host, Subject, Result>
    beforeEach(async () => {
      of = killable()
      await of.context.database.deleteFrom('tasks').execute()
      await of.context.database.deleteFrom('breakers').execute()
      await of.request()
    })

    const advanceWith = (kind: TaskKind<Host, Subject, Result, number | null>, stop: AbortSignal = signal) =>
      advanceNext(of.context, kind, of.options, stop, log)
    const task = () => of.context.database.selectFrom('tasks').selectAll().executeTakeFirstOrThrow()
    /** Makes the lease expire, since a dead function does not renew it. */
    const expireLease = () =>
      of.context.database
        .updateTable('tasks')
        .set({ leaseUntil: sql<Date>`UTC_TIMESTAMP(3) - INTERVAL 1 SECOND`, leaseOwner: 'dead' })
        .execute()

    /**
     * A function that stalled right before `act` repeats its request, without effect: see the promises of the
     * drivers.
     */
    const expectDoneOnce = async ({ isActRepeated = false } = {}) => {
      expect(await of.isRecorded()).toBe(true)
      expect(await of.effects()).toBe(1)
      if (!isActRepeated) expect(of.acts()).toBe(1)
      expect(await task()).toMatchObject({ state: 'done', leaseOwner: null })
      expect(await advanceWith(of.kind)).toBeNull()
    }

    test.each(MOMENTS)('%s: the next function completes the task, once', async (moment) => {
      const dying = dyingAt(of.kind, moment)
      const dead = advanceWith(dying.kind)
      await until(() => dying.isThere())
      if (moment.endsWith('outcome')) {
        // Its connection is closed, and the transaction is rolled back.
        dying.fall()
        await dead.catch(() => {})
        await of.context.database
          .updateTable('tasks')
          .set({ state: 'running', nextAttemptAt: new Date(0) })
          .execute()
      } else {
        expect(await advanceWith(of.kind)).toBeNull()
      }
      await expireLease()
      expect((await advanceWith(of.kind))?.ending.kind).toBe('done')
      await expectDoneOnce()
      dying.fall()
    })

    test.each(MOMENTS.filter((moment) => !moment.endsWith('outcome')))(
      '%s, and continues after another function has completed the task: nothing is overwritten',
      async (moment) => {
        const sleeping = dyingAt(of.kind, moment)
        const late = advanceWith(sleeping.kind)
        await until(() => sleeping.isThere())
        await expireLease()
        expect((await advanceWith(of.kind))?.ending.kind).toBe('done')
        const before = await task()
        sleeping.goOn()
        expect((await late)?.ending.kind).toBe('lost')
        expect(await task()).toEqual(before)
        await expectDoneOnce({ isActRepeated: moment === 'before act' })
      },
    )

    test('because it is stopped from outside: the attempt does not count, and the next one starts at once', async () => {
      const stop = new AbortController()
      const hanging = dyingAt(of.kind, 'before act')
      const stopped = advanceWith(hanging.kind, stop.signal)
      await until(() => hanging.isThere())
      stop.abort()
      hanging.fall()
      expect((await stopped)?.ending.kind).toBe('interrupted')
      expect(await task()).toMatchObject({ attempts: 0, state: 'waiting', leaseOwner: null })
      expect((await advanceWith(of.kind))?.ending.kind).toBe('done')
      await expectDoneOnce()
    })

    test('because it is stopped from outside during beforeEnd: the next function ends the task', async () => {
      const stop = new AbortController()
      const hanging = dyingAt(of.kind, 'before end')
      const stopped = advanceWith(hanging.kind, stop.signal)
      await until(() => hanging.isThere())
      stop.abort()
      hanging.fall()
      expect((await stopped)?.ending.kind).toBe('interrupted')
      expect(await task()).toMatchObject({ attempts: 0, state: 'waiting', leaseOwner: null })
      expect((await advanceWith(of.kind))?.ending.kind).toBe('done')
      await expectDoneOnce()
    })

    test('because it is stopped from outside during an attempt past its deadline: the task is given up', async () => {
      await of.context.database.updateTable('tasks').set({ deadlineAt: of.context.now() }).execute()
      const stop = new AbortController()
      const hanging = dyingAt(of.kind, 'before act')
      const stopped = advanceWith(hanging.kind, stop.signal)
      await until(() => hanging.isThere())
      stop.abort()
      hanging.fall()
      await stopped
      expect(await task()).toMatchObject({ state: 'given-up', leaseOwner: null })
      expect(await advanceWith(of.kind)).toBeNull()
    })

    test('because it is stopped from outside during beforeEnd past its deadline: the end is recorded at once', async () => {
      await of.context.database.updateTable('tasks').set({ deadlineAt: of.context.now() }).execute()
      const stop = new AbortController()
      const hanging = dyingAt(of.kind, 'before end')
      const stopped = advanceWith(hanging.kind, stop.signal)
      await until(() => hanging.isThere())
      stop.abort()
      hanging.fall()
      expect((await stopped)?.ending.kind).toBe('done')
      await expectDoneOnce()
    })

    test('or whose check fails while the task is pending: the noted reference is kept, and it ends at its deadline', async () => {
      const { context, kind, options } = of
      const deadlineAt = new Date(context.now().getTime() + 1000)
      await context.database
        .updateTable('tasks')
        .set({ state: 'pending', startedAt: context.now(), deadlineAt })
        .execute()
      const failing: TaskKind<Host, Subject, Result, number | null> = {
        ...kind,
        async check(_, { trail }) {
          await trail.note({ noted: 'meanwhile' })
          throw new TransientError('no answer')
        },
      }
      const check = (now: Date) =>
        advanceNext(
          { ...context, now: () => now },
          failing,
          { ...options, turn: { of: 'pending' } },
          signal,
          log,
        )
      await check(context.now())
      expect(await task()).toMatchObject({
        state: 'pending',
        nextAttemptAt: deadlineAt,
        reference: { noted: 'meanwhile' },
        leaseOwner: null,
      })
      await check(deadlineAt)
      expect(await task()).toMatchObject({
        state: 'given-up',
        lastError: 'it was not done in time: no answer',
        leaseOwner: null,
      })
    })
  })
}

/** The same kind, whose function pauses once, at a moment, until it continues (`goOn`) or dies (`fall`). */
function dyingAt<Host extends TaskContext, Subject, Result>(
  kind: TaskKind<Host, Subject, Result, number | null>,
  moment: Moment,
) {
  const gate = Promise.withResolvers<void>()
  gate.promise.catch(() => {})
  let there = false
  const pass = async (at: Moment) => {
    if (at !== moment || there) return
    there = true
    await gate.promise
  }
  const around = async <T>(step: 'check' | 'act' | 'end' | 'outcome', work: () => Promise<T>): Promise<T> => {
    await pass(`before ${step}`)
    const result = await work()
    await pass(`after ${step}`)
    return result
  }
  const dying: TaskKind<Host, Subject, Result, number | null> = {
    ...kind,
    check: (...args) => around('check', () => kind.check(...args)),
    act: (...args) => around('act', () => kind.act(...args)),
    beforeEnd: (...args) => around('end', async () => await kind.beforeEnd?.(...args)),
    outcome: (...args) => around('outcome', () => kind.outcome(...args)),
  }
  return {
    kind: dying,
    isThere: () => there,
    goOn: () => gate.resolve(),
    fall: () => gate.reject(new Error('the function dies')),
  }
}
