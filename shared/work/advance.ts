/**
 * Runs tasks, which are work with a side effect outside the database: claim, check, act, record. A task is
 * claimed under a lease; the external service is asked whether the side effect has already happened; if not,
 * it is made, under a name derived from the task; the result is written in one transaction with the facts,
 * the run's history and the requests that follow. If the function dies at any point, the next one claims the
 * row, checks it and continues.
 *
 * @example
 * await advance(context, tapeCopy, { dependency: `tape:${endpoint}`, turn: { of: 'due', mostAtOnce: 3 },
 *   atOnce: 2, limitSeconds: 3600 }, signal, log)
 */
import { type Database, inTransaction } from '../database/connect.ts'
import type { Task } from '../database/work-schema.ts'
import { ConflictError, classify, InvalidInputError, TransientError } from '../errors.ts'
import { type Logger, withoutSecrets } from '../log.ts'
import { endProbe, isOnlyFailing, lastErrorOf, noteFailure, noteSuccess, openSinceOf } from './breaker.ts'
import { drain } from './drain.ts'
import { renew, whileHeld } from './lease.ts'
import { addRequests } from './outbox.ts'
import { ATTEMPTS_BEFORE_FAILING, changeOf } from './retry-policy.ts'
import { sendRequests } from './send-requests.ts'
import type { Ending, TaskContext, TaskKind, Work } from './task-kind.ts'
import { type Claim, type ClaimOptions, claimTask, deadlineOf, endClaim, hasEnded } from './tasks.ts'
import { trailOf } from './trail.ts'

export interface AdvanceOptions extends Pick<ClaimOptions, 'dependency' | 'turn'> {
  /** Tasks in progress at a time in this call. */
  readonly atOnce: number
  /** The longest time of one attempt. */
  readonly limitSeconds: number
}

export interface Advanced<Result> {
  readonly task: Task
  /** `lost`: another function has taken over the task; nothing was written. */
  readonly ending: Ending<Result> | { readonly kind: 'lost' }
}

/** Several tasks that can never work may keep a breaker open: each ends with its own alert. */
const LONGEST_OUTAGE_MS = 7 * 86_400_000
/** Time to write the ending when the function is being stopped. */
const ENDING_MS = 10_000
/** Time to prepare an end that must be recorded although the host stops: hosts reserve three seconds. */
const LATE_END_MS = 2_000

/** Advances tasks until none is due or the time to start one is over. Returns how each ended. */
export async function advance<Host extends TaskContext, Subject, Result>(
  context: Host,
  kind: TaskKind<Host, Subject, Result, number | null>,
  options: AdvanceOptions,
  signal: AbortSignal,
  log: Logger,
): Promise<readonly Advanced<Result>[]> {
  return await drain(options.atOnce, signal, () => advanceNext(context, kind, options, signal, log))
}

/** One attempt at one task, and its results so far. */
interface Attempt<Host extends TaskContext, Subject, Result> {
  readonly context: Host
  readonly kind: TaskKind<Host, Subject, Result, number | null>
  readonly claim: Claim
  readonly work: Work<Subject>
  /** Aborted when the host stops. */
  readonly signal: AbortSignal
  readonly log: Logger
  /** The breakers that this attempt probes, without a result yet. */
  readonly probes: Set<string>
  /** Check returned `to-do`. */
  wasToDo: boolean
  /** The external step in progress; null: an error now is not the dependency's. */
  step: 'check' | 'act' | null
  /** Aborted when the lease is lost. */
  held: AbortSignal
  /** After act: the generation of the job that was requested. */
  generation: number
}

/**
 * Advances one task. Null when none is due. An error of the work is not thrown: it is recorded in the row,
 * with the time of the next attempt.
 */
export async function advanceNext<Host extends TaskContext, Subject, Result>(
  context: Host,
  kind: TaskKind<Host, Subject, Result, number | null>,
  options: Omit<AdvanceOptions, 'atOnce'>,
  signal: AbortSignal,
  log: Logger,
): Promise<Advanced<Result> | null> {
  const { leaseSeconds } = context.config.work
  const { dependency, turn, limitSeconds } = options
  const at = context.now()
  const claim = await claimTask(context, { kind: kind.kind, dependency, turn, leaseSeconds, at })
  if (claim === null) return null
  const { task } = claim
  const loaded = await loadOrEnd(context, kind, claim, log)
  if (loaded.kind !== 'loaded') return { task, ending: loaded }
  const { subject } = loaded
  const fields = log.child({ ...kind.fields(subject), attempt: task.attempts })
  const { generation } = task
  const work = { task, subject, trail: trailOf(context.database, task) }
  const attempt: Attempt<Host, Subject, Result> = {
    context,
    kind,
    claim,
    work,
    signal,
    log: fields,
    probes: new Set(claim.probes),
    wasToDo: false,
    step: null,
    held: signal,
    generation,
  }
  const started = performance.now()
  try {
    const found = await whileHeld(context.database, claim.lease, leaseSeconds, signal, (held) => {
      attempt.held = held
      return checkAndAct(attempt, AbortSignal.any([held, AbortSignal.timeout(limitSeconds * 1000)]))
    })
    const ending = await record(attempt, found)
    const { reference = null, reason = null } = { reference: null, reason: null, ...ending }
    const ms = Math.round(performance.now() - started)
    fields.info({ ended: ending.kind, reference, reason, ms }, kind.kind)
    await followUp(attempt, ending)
    return { task, ending }
  } catch (thrown) {
    return await recordFailedAttempt(attempt, thrown)
  }
}

/**
 * Reads the subject. Ends the task at once when the subject no longer exists. When it cannot be read the task
 * is tried again, also beyond its deadline: giving up raises an alert, which needs the subject.
 */
async function loadOrEnd<Host extends TaskContext, Subject, Result>(
  context: Host,
  kind: TaskKind<Host, Subject, Result, number | null>,
  claim: Claim,
  log: Logger,
): Promise<{ readonly kind: 'loaded'; readonly subject: Subject } | Advanced<Result>['ending']> {
  const { task } = claim
  const end = async (ending: Ending<Result>) => {
    const at = context.now()
    const change = changeOf({ ...task, deadlineAt: null }, ending, at)
    try {
      for (const probed of claim.probes) await endProbe(context.database, probed, at)
      await inTransaction(context.database, (trx) => endClaim(trx, claim, change, at))
      return ending
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      return { kind: 'lost' } as const
    }
  }
  try {
    const subject = await kind.load(context, task)
    if (subject !== null) return { kind: 'loaded', subject }
  } catch (error) {
    log.error({ task: task.name, error }, `${kind.kind}-not-loaded`)
    return await end({ kind: 'failed', reason: withoutSecrets(classify(error).message), jobEnded: false })
  }
  log.warn({ task: task.name }, `${kind.kind}-without-subject`)
  return await end({ kind: 'given-up', reason: 'its subject no longer exists', result: null })
}

async function checkAndAct<Host extends TaskContext, Subject, Result>(
  attempt: Attempt<Host, Subject, Result>,
  signal: AbortSignal,
): Promise<Ending<Result>> {
  const { context, kind, claim, work } = attempt
  const { task } = work
  const { database } = context
  const worked = async (dependency: string, step: 'check' | 'act') => {
    await noteSuccess(database, dependency, step, context.now())
    attempt.probes.delete(dependency)
  }
  // The task itself may have killed the function: after this many attempts it waits for its back-off.
  if (claim.wasAbandoned && task.attempts > ATTEMPTS_BEFORE_FAILING)
    return { kind: 'failed', reason: 'the function that worked on it died', jobEnded: false }
  const settled = kind.settled(work.subject)
  if (settled !== null) return settled
  attempt.step = 'check'
  const checked = await kind.check(context, work, signal)
  attempt.step = null
  if (checked.dependencyUnused !== true && (checked.kind !== 'to-do' || task.state === 'pending'))
    await worked(task.dependency, 'check')
  if (checked.kind !== 'to-do') return checked
  attempt.wasToDo = true
  const { jobEnded } = checked
  if (task.state === 'pending')
    return { kind: 'failed', reason: jobEnded ?? 'its external job has ended', jobEnded: true }
  // A process that stalled for longer than its lease while checking must not act.
  await renew(database, claim.lease, context.config.work.leaseSeconds)
  const generation = jobEnded === null ? task.generation : task.generation + 1
  attempt.step = 'act'
  const ending = await kind.act(context, { ...work, task: { ...task, generation } }, generation, signal)
  attempt.step = null
  attempt.generation = generation
  if (ending.kind === 'done' || ending.kind === 'pending')
    for (const used of [task.dependency, task.needs]) if (used !== null) await worked(used, 'act')
  return ending
}

/**
 * Returns the ending that was recorded. If the function is stopped while it prepares the end, the next attempt
 * ends the task; but past its deadline the end is recorded now, since the next attempt may be stopped as well.
 */
async function record<Host extends TaskContext, Subject, Result>(
  attempt: Attempt<Host, Subject, Result>,
  found: Ending<Result>,
): Promise<Ending<Result>> {
  const { context, kind, claim, work, probes, wasToDo, generation } = attempt
  const mayBeOwn = found.kind === 'unavailable' && found.mayBeOwn === true
  const task = await taskNow(context.database, work.task, mayBeOwn, context.now())
  const changeBy = (ending: Ending<Result>) => changeOf({ ...task, generation }, ending, context.now())
  let [ending, change] = [found, changeBy(found)]
  if (hasEnded(change) && !(await prepareEnd(attempt, found))) {
    const stopped = changeBy(STOPPED)
    if (hasEnded(stopped)) await prepareEnd({ ...attempt, signal: AbortSignal.timeout(LATE_END_MS) }, STOPPED)
    else [ending, change] = [STOPPED, stopped]
  }
  const at = context.now()
  for (const probed of probes) await endProbe(context.database, probed, at)
  const requests = await inTransaction(context.database, async (trx) => {
    const runId = await kind.lock(trx, work.subject)
    await endClaim(trx, claim, change, at)
    const follow = await kind.outcome(trx, context, work, { ending, change, wasToDo, runId, at })
    await addRequests(trx, follow, at)
    return follow
  })
  // Nothing else is known against the dependency: what waits for it need not wait for a probe.
  if (mayBeOwn && hasEnded(change)) await noteSuccess(context.database, task.dependency, 'act', at)
  await sendRequests(context, requests, AbortSignal.timeout(ENDING_MS))
  return ending
}

/**
 * The task as claimed, except that its deadline may have been extended since. It has none while a dependency
 * fails, for up to a week, unless that may be the task's own fault: the deadline is extended by the outage. Past it, a task without an error of its own gets that of its
 * dependency, which may have kept it from being tried.
 */
async function taskNow(database: Database, task: Task, mayBeOwn: boolean, at: Date): Promise<Task> {
  if (task.deadlineAt === null) return task
  const deadlineAt = await deadlineOf(database, task)
  const rests = deadlineAt !== null && at.getTime() < deadlineAt.getTime() + LONGEST_OUTAGE_MS
  if (rests && !mayBeOwn && (await openSinceOf(database, [task.dependency, task.needs])) !== null)
    return { ...task, deadlineAt: null }
  if (task.lastError !== null || deadlineAt === null || at < deadlineAt) return { ...task, deadlineAt }
  return { ...task, deadlineAt, lastError: await lastErrorOf(database, task.dependency) }
}

const STOPPED = { kind: 'interrupted', reason: 'the function was stopped' } as const

/** False when the function is stopped meanwhile. @throws ConflictError when the lease was lost. */
async function prepareEnd<Host extends TaskContext, Subject, Result>(
  { context, kind, claim, work, signal, log }: Attempt<Host, Subject, Result>,
  ending: Ending<Result>,
): Promise<boolean> {
  const { leaseSeconds } = context.config.work
  if (kind.beforeEnd === undefined) return true
  // A process that has lost its lease must not remove what the next one uses.
  await renew(context.database, claim.lease, leaseSeconds)
  try {
    await whileHeld(context.database, claim.lease, leaseSeconds, signal, async (held) => {
      await kind.beforeEnd?.(context, work, ending, held)
    })
  } catch (error) {
    if (error instanceof ConflictError) throw error
    if (signal.aborted) return false
    log.error({ error }, `${kind.kind}-end-not-prepared`)
  }
  return true
}

/** The attempt failed, or its result is unknown: the next attempt checks first. */
async function recordFailedAttempt<Host extends TaskContext, Subject, Result>(
  attempt: Attempt<Host, Subject, Result>,
  thrown: unknown,
): Promise<Advanced<Result>> {
  const { kind, work, log } = attempt
  const { task } = work
  const error = classify(thrown)
  try {
    const found = await endingOfFailure(attempt, error)
    const ending = await record(attempt, found)
    log.error({ error, ended: ending.kind }, `${kind.kind}-failed`)
    await followUp(attempt, ending)
    return { task, ending }
  } catch (lost) {
    if (!(lost instanceof ConflictError)) throw lost
    log.info({ error }, `${kind.kind}-taken-over`)
    return { task, ending: { kind: 'lost' } }
  }
}

/** The attempt is recorded: an error from here on does not change that. */
async function followUp<Host extends TaskContext, Subject, Result>(
  { context, kind, work, signal, log }: Attempt<Host, Subject, Result>,
  ending: Ending<Result>,
): Promise<void> {
  try {
    await kind.afterwards?.(context, work, ending, signal, log)
  } catch (error) {
    log.error({ error }, `${kind.kind}-not-followed-up`)
  }
}

async function endingOfFailure<Host extends TaskContext, Subject, Result>(
  { context, work: { task }, signal, probes, step, held }: Attempt<Host, Subject, Result>,
  error: ReturnType<typeof classify>,
): Promise<Ending<Result>> {
  if (signal.aborted) return STOPPED
  const reason = withoutSecrets(error.message)
  // The outcome was refused because its facts have changed: no failure of the work.
  if (error instanceof ConflictError && step === null) return { kind: 'busy', reason }
  // An error of the database, or after the lease was lost, is not the dependency's.
  if (error instanceof TransientError && step !== null && !held.aborted && !isDatabaseError(error)) {
    const at = context.now()
    const { dependency: blamed = task.dependency } = error.details
    const mayBeOwn = blamed === task.dependency && (await isOnlyFailing(context.database, task, error))
    const hint = mayBeOwn ? ' (no other work has failed there)' : ''
    const hasFailedBefore = task.attempts > 1
    const failure = { task: task.name, hasFailedBefore, step, error, reason, hint, at }
    const { isOpen, requests } = await noteFailure(context.database, String(blamed), failure)
    probes.delete(String(blamed))
    await sendRequests(context, requests, AbortSignal.timeout(ENDING_MS))
    if (isOpen) return { kind: 'unavailable', reason, mayBeOwn }
  }
  return task.state === 'pending'
    ? { kind: 'pending', reason, result: null, takesTurn: task.takesTurn }
    : { kind: 'failed', reason, jobEnded: false, isInvalid: error instanceof InvalidInputError }
}

/** Recognized by the error codes of MariaDB and of its client. */
export const isDatabaseError = ({ details: { error } }: TransientError): boolean =>
  /^(?:(?:ER|PROTOCOL)_|MariaDB )/.test(String(error))
