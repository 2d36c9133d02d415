/**
 * The one way in which work with a side effect outside the database is done: claim, check, act, record. A task
 * is claimed under a lease; the outside is asked whether the side effect has already happened; if not, it is
 * made, under a name that follows from the task; what came of it is written in one transaction with the facts,
 * the run's history and the requests that follow. A function that dies at any point leaves a row that the next
 * one takes, checks and goes on with.
 *
 * @example
 * await advance(context, tapeCopy, { dependency: `tape:${endpoint}`, turn: { of: 'due', mostAtOnce: 3 },
 *   atOnce: 2, limitSeconds: 3600 }, signal, log)
 */
import type { Transaction } from 'kysely'
import type { Context } from '../context.ts'
import { inTransaction } from '../database/connect.ts'
import type { Schema } from '../database/schema.ts'
import type { Reference, Task } from '../database/work-schema.ts'
import { ConflictError, classify, InvalidInputError, TransientError } from '../errors.ts'
import { type Logger, withoutSecrets } from '../log.ts'
import { nextLookAt, retryAt } from './back-off.ts'
import { mayUse, noteFailure, noteSuccess } from './breaker.ts'
import { renew, whileHeld } from './lease.ts'
import { addRequests, type Request } from './outbox.ts'
import { sendRequests } from './send-requests.ts'
import { type Claim, type ClaimOptions, claimTask, endClaim, type TaskChange } from './tasks.ts'

/** How an attempt ended. `Result` is what the kind knows of it. */
export type Ending<Result> =
  | { readonly kind: 'done'; readonly result: Result }
  /** Something outside works on it, or it waits for something there: checked again later, no failure. */
  | {
      readonly kind: 'pending'
      readonly reference: Reference | null
      readonly reason: string | null
      readonly result: Result | null
    }
  /** Somebody else does the same just now: tried again soon, no failure. */
  | { readonly kind: 'busy'; readonly reason: string }
  /** It goes on at once in another way, without the failures of before. */
  | { readonly kind: 'restarted'; readonly reason: string; readonly result: Result }
  /** `jobEnded`: the job outside is over, the next attempt asks for another. */
  | {
      readonly kind: 'failed'
      readonly reason: string
      readonly jobEnded: boolean
      /** What the task is about is wrong, not the place. */
      readonly isInvalid?: boolean
    }
  /** No further attempt can help. */
  | { readonly kind: 'given-up'; readonly reason: string; readonly result: Result | null }
  /** The function was stopped from outside: the attempt does not count. */
  | { readonly kind: 'interrupted'; readonly reason: string }
  /** What the task needs fails, and its breaker is open: the attempt does not count. */
  | { readonly kind: 'unavailable'; readonly reason: string }

/** To be done: `jobEnded` when a job outside that should have done it is over. */
export interface ToDo {
  readonly kind: 'to-do'
  readonly jobEnded: string | null
}

export interface Work<Subject> {
  readonly task: Task
  readonly subject: Subject
}

/** A kind of work. All that is special about it; never when or how often it is tried. */
export interface TaskKind<Host extends Context, Subject, Result> {
  readonly kind: string
  /** What the task is about, read after the claim. */
  load(context: Host, task: Task): Promise<Subject>
  /** Fields for every log line of the task: run, tag, key. */
  fields(subject: Subject): Readonly<Record<string, unknown>>
  /** Whether the side effect has happened already, or is happening. Changes nothing. */
  check(context: Host, work: Work<Subject>, signal: AbortSignal): Promise<Ending<Result> | ToDo>
  /**
   * Makes the side effect. `generation` tells a new job from a request that is repeated because its answer was
   * lost.
   */
  act(context: Host, work: Work<Subject>, generation: number, signal: AbortSignal): Promise<Ending<Result>>
  /** Locks the run of the subject, before any of its rows is written. @returns its id. */
  lock(trx: Transaction<Schema>, subject: Subject): Promise<number>
  /**
   * Writes the facts and the run's history, in the transaction that has ended the attempt.
   * @returns the requests that follow.
   */
  outcome(
    trx: Transaction<Schema>,
    context: Host,
    work: Work<Subject>,
    ended: {
      readonly ending: Ending<Result>
      readonly change: TaskChange
      readonly runId: number
      readonly at: Date
    },
  ): Promise<readonly Request[]>
  /** After an attempt was recorded: what else is to be checked now, given how it ended. Never repeated. */
  afterwards?(
    context: Host,
    work: Work<Subject>,
    ending: Ending<Result>,
    signal: AbortSignal,
    log: Logger,
  ): Promise<void>
  /** Breakers of what the subject needs besides the dependency that it was claimed for. */
  alsoNeeds(subject: Subject): readonly string[]
  /** The alert when what the work needs fails; its name must hold since when. */
  dependencyAlert(dependency: string, since: Date, reason: string): Request
}

export interface AdvanceOptions extends Pick<ClaimOptions, 'dependency' | 'turn'> {
  /** Tasks in progress at once in this call. */
  readonly atOnce: number
  /** The longest time of one attempt. */
  readonly limitSeconds: number
}

export interface Advanced<Result> {
  readonly task: Task
  /** `lost`: another function has taken the task over; nothing was written. */
  readonly ending: Ending<Result> | { readonly kind: 'lost' }
}

/** After so long no further task is begun in the same call: one may take most of a function's time. */
const BEGIN_WITHIN_MS = 45_000
/** For what is still to be written when the function is being stopped. */
const ENDING_MS = 10_000
/** After the breaker was found open: recovery is noticed within a minute. */
const UNAVAILABLE_MS = 30_000
/** From then on the state says that the work fails, and the kind alerts; it goes on being tried all the same. */
export const ATTEMPTS_BEFORE_FAILING = 6

/** Advances tasks until none is due or the time to begin one is over. Returns how each ended. */
export async function advance<Host extends Context, Subject, Result>(
  context: Host,
  kind: TaskKind<Host, Subject, Result>,
  options: AdvanceOptions,
  signal: AbortSignal,
  log: Logger,
): Promise<readonly Advanced<Result>[]> {
  const began = performance.now()
  const ends: Advanced<Result>[] = []
  const work = async () => {
    while (!signal.aborted && performance.now() - began < BEGIN_WITHIN_MS) {
      const end = await advanceNext(context, kind, options, signal, log)
      if (end === null) return
      ends.push(end)
    }
  }
  // All are waited for: none goes on behind the back of a call that has ended.
  const calls = await Promise.allSettled(Array.from({ length: options.atOnce }, work))
  const failure = calls.find((call) => call.status === 'rejected')
  if (failure !== undefined) throw failure.reason
  return ends
}

/**
 * Advances one task. Null when none is due. Never throws for what goes wrong with the work: that is written
 * down, with the time of the next attempt.
 */
export async function advanceNext<Host extends Context, Subject, Result>(
  context: Host,
  kind: TaskKind<Host, Subject, Result>,
  options: Omit<AdvanceOptions, 'atOnce'>,
  signal: AbortSignal,
  log: Logger,
): Promise<Advanced<Result> | null> {
  const { leaseSeconds } = context.config.work
  const { dependency, turn } = options
  const claim = await claimTask(context, {
    kind: kind.kind,
    dependency,
    turn,
    leaseSeconds,
    at: context.now(),
  })
  if (claim === null) return null
  const started = performance.now()
  const { task } = claim
  const work = { task, subject: await kind.load(context, task) }
  const fields = log.child({ ...kind.fields(work.subject), attempt: task.attempts })
  const needs = kind.alsoNeeds(work.subject)
  const used = [dependency]
  const attempt = async (held: AbortSignal): Promise<Ending<Result>> => {
    for (const other of needs)
      if (!(await mayUse(context.database, other, context.now())))
        return { kind: 'unavailable', reason: `${other} does not work at present` }
    const limited = AbortSignal.any([held, AbortSignal.timeout(options.limitSeconds * 1000)])
    // Whoever stood still for longer than the lease while checking must not act.
    const mayAct = async () => {
      await renew(context.database, claim.lease, leaseSeconds)
      used.push(...needs)
    }
    return await checkAndAct(context, kind, work, turn.of === 'due' && mayAct, limited)
  }
  try {
    const ending = await whileHeld(context.database, claim.lease, leaseSeconds, signal, attempt)
    await record(context, kind, claim, work, ending, signal)
    if (ending.kind !== 'unavailable') for (const works of used) await noteSuccess(context.database, works)
    const { reference = null, reason = null } = { reference: null, reason: null, ...ending }
    const ms = Math.round(performance.now() - started)
    fields.info({ ended: ending.kind, reference, reason, ms }, kind.kind)
    await kind.afterwards?.(context, work, ending, signal, fields)
    return { task, ending }
  } catch (thrown) {
    return await giveBack(context, kind, claim, work, dependency, thrown, signal, fields)
  }
}

/**
 * @param mayAct throws when the lease is lost; false where something outside does the work: then it is only
 * checked.
 */
async function checkAndAct<Host extends Context, Subject, Result>(
  context: Host,
  kind: TaskKind<Host, Subject, Result>,
  work: Work<Subject>,
  mayAct: (() => Promise<void>) | false,
  signal: AbortSignal,
): Promise<Ending<Result>> {
  const checked = await kind.check(context, work, signal)
  if (checked.kind !== 'to-do') return checked
  const { jobEnded } = checked
  if (mayAct === false)
    return { kind: 'failed', reason: jobEnded ?? 'no job works on it any more', jobEnded: true }
  await mayAct()
  const generation = jobEnded === null ? work.task.generation : work.task.generation + 1
  return await kind.act(context, { ...work, task: { ...work.task, generation } }, generation, signal)
}

async function record<Host extends Context, Subject, Result>(
  context: Host,
  kind: TaskKind<Host, Subject, Result>,
  claim: Claim,
  work: Work<Subject>,
  ending: Ending<Result>,
  signal: AbortSignal,
): Promise<void> {
  const at = context.now()
  const change = changeOf(work.task, ending, at)
  const requests = await inTransaction(context.database, async (trx) => {
    const runId = await kind.lock(trx, work.subject)
    await endClaim(trx, claim, change, at)
    const follow = await kind.outcome(trx, context, work, { ending, change, runId, at })
    await addRequests(trx, follow, at)
    return follow
  })
  await sendRequests(context, requests, signal)
}

/** What an ending means for the row: the retry policy of all kinds. */
function changeOf(task: Task, ending: Ending<unknown>, at: Date): TaskChange {
  const uncounted = Math.max(0, task.attempts - 1)
  switch (ending.kind) {
    case 'done':
      return { state: 'done', attempts: 0, lastError: null }
    case 'pending': {
      const { reference, reason } = ending
      const isSame = JSON.stringify(reference) === JSON.stringify(task.reference)
      const since = isSame ? task.startedAt : null
      return { state: 'pending', reference, lastError: reason, nextAttemptAt: nextLookAt(at, since) }
    }
    case 'busy':
      return {
        state: 'waiting',
        attempts: uncounted,
        lastError: ending.reason,
        nextAttemptAt: nextLookAt(at, null),
      }
    case 'restarted':
      return { state: 'waiting', attempts: 0, lastError: ending.reason, nextAttemptAt: at }
    case 'interrupted':
    case 'unavailable': {
      const isPending = task.state === 'pending'
      const isFailing = uncounted >= ATTEMPTS_BEFORE_FAILING
      return {
        state: isPending ? 'pending' : isFailing ? 'failing' : 'waiting',
        attempts: isPending ? task.attempts : uncounted,
        lastError: ending.reason,
        nextAttemptAt: ending.kind === 'interrupted' ? at : new Date(at.getTime() + UNAVAILABLE_MS),
      }
    }
    case 'given-up':
      return { state: 'given-up', lastError: ending.reason }
    case 'failed': {
      if (task.deadlineAt !== null && at >= task.deadlineAt)
        return { state: 'given-up', lastError: `it was not done in time: ${ending.reason}` }
      const next = retryAt(at, task.attempts)
      return {
        state: task.attempts >= ATTEMPTS_BEFORE_FAILING ? 'failing' : 'waiting',
        lastError: ending.reason,
        nextAttemptAt: task.deadlineAt !== null && task.deadlineAt < next ? task.deadlineAt : next,
        ...(ending.jobEnded ? { reference: null, generation: task.generation + 1 } : {}),
      }
    }
  }
}

/** The attempt failed, or nobody knows how it ended: it is tried again, and checked first. */
async function giveBack<Host extends Context, Subject, Result>(
  context: Host,
  kind: TaskKind<Host, Subject, Result>,
  claim: Claim,
  work: Work<Subject>,
  dependency: string,
  thrown: unknown,
  signal: AbortSignal,
  log: Logger,
): Promise<Advanced<Result>> {
  const { task } = claim
  const error = classify(thrown)
  const ending = AbortSignal.timeout(ENDING_MS)
  try {
    const end = await howItFailed(context, kind, dependency, task, error, signal, ending)
    await record(context, kind, claim, work, end, ending)
    log.error({ error, ended: end.kind }, `${kind.kind}-failed`)
    await kind.afterwards?.(context, work, end, signal, log)
    return { task, ending: end }
  } catch (lost) {
    if (!(lost instanceof ConflictError)) throw lost
    log.info({ error }, `${kind.kind}-taken-over`)
    return { task, ending: { kind: 'lost' } }
  }
}

async function howItFailed<Host extends Context, Subject, Result>(
  context: Host,
  kind: TaskKind<Host, Subject, Result>,
  dependency: string,
  task: Task,
  error: ReturnType<typeof classify>,
  signal: AbortSignal,
  ending: AbortSignal,
): Promise<Ending<Result>> {
  if (signal.aborted) return { kind: 'interrupted', reason: 'the function was stopped' }
  const reason = withoutSecrets(error.message)
  if (error instanceof TransientError) {
    const at = context.now()
    const blamed = typeof error.details.dependency === 'string' ? error.details.dependency : dependency
    const { isOpen, requests } = await noteFailure(context.database, blamed, { reason, at }, (since) =>
      kind.dependencyAlert(blamed, since, reason),
    )
    await sendRequests(context, requests, ending)
    if (isOpen) return { kind: 'unavailable', reason }
  }
  return task.state === 'pending'
    ? { kind: 'pending', reference: task.reference, reason, result: null }
    : { kind: 'failed', reason, jobEnded: false, isInvalid: error instanceof InvalidInputError }
}
