/**
 * The copy of a file to tape, as a kind of task: from the request to the file verified on the medium. Many
 * functions may run it, at the same time or repeatedly; they make one copy.
 */

import { isWeaker, weigh } from '../../catalogue/evidence.ts'
import { type OtherCopies, otherCopies, searchAdvice } from '../../catalogue/other-copies.ts'
import { causeOf, fileOf, nameOf, requestOf } from '../../catalogue/replica-alerts.ts'
import { IN_WORK_ON_TAPE, UNPROVEN } from '../../catalogue/replica-states.ts'
import type { ReplicaChange } from '../../catalogue/replica-work.ts'
import { lockRunOfReplica, refreshStorage, replicasOfContent, TAPE_COPY } from '../../catalogue/replicas.ts'
import { addHistory } from '../../catalogue/runs.ts'
import { settleCopyAlerts } from '../../catalogue/settle-copy-alerts.ts'
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { Reference, Task } from '../../database/work-schema.ts'
import { ConflictError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { CopyResult, TapeCheck, TapeDriver } from '../../tape/driver.ts'
import { alternateTapeName } from '../../tape/names.ts'
import { cutText } from '../../text.ts'
import { advance } from '../../work/advance.ts'
import { tapeBreaker } from '../../work/breaker.ts'
import type { Request } from '../../work/outbox.ts'
import { alert, type Ended } from '../../work/raise-alert.ts'
import { resolveRaised } from '../../work/raised-alerts.ts'
import { ATTEMPTS_BEFORE_FAILING } from '../../work/retry-policy.ts'
import type { Ending, TaskKind, Work } from '../../work/task-kind.ts'
import type { TaskChange } from '../../work/tasks.ts'
import { isKnownOnMedia, mediumAssumed, readBackFor, tapeFileOf } from '../verify/check-replica.ts'
import { verifyReplica } from '../verify/verify.ts'
import { findSource } from './source.ts'
import { mayUseThirdParty, noteThirdPartyFailure } from './third-party.ts'

/** A context with a tape endpoint. */
export type WithTape = Context<'database' | 'queues' | 's3' | 'publicS3'> & { readonly tape: TapeDriver }

export const hasTape = <Host extends Context<'tape'>>(
  context: Host,
): context is Host & { readonly tape: TapeDriver } => context.tape !== null

/** What is known of the copy after an attempt. */
type Result =
  | (Extract<CopyResult, { kind: 'stored' }> & { readonly at: 'endpoint' })
  | (Extract<TapeCheck, { kind: 'present' }> & { readonly at: 'endpoint'; readonly how: 'found' })
  /** Another file has its name: the copy gets the alternate name. */
  | { readonly at: 'alternate-name'; readonly name: string; readonly url: string; readonly detail: string }
  | { readonly at: 'nowhere'; readonly detail: string; readonly others: OtherCopies }

type Stored = Extract<Result, { at: 'endpoint' }>

const referenceOf = (job: string): Reference => ({ job })

export const tapeCopy: TaskKind<WithTape, Replica, Result> = {
  kind: TAPE_COPY,
  load: async ({ database }, { subjectId }) =>
    (await database.selectFrom('replicas').selectAll().where('id', '=', subjectId).executeTakeFirst()) ??
    null,
  fields: ({ runNumber, tag, objectKey, url }) => ({ run: runNumber, tag, key: objectKey, url }),
  lock: lockRunOfReplica,

  settled({ state }) {
    if (IN_WORK_ON_TAPE.includes(state)) return null
    if (state === 'on-media') return { kind: 'done', result: null }
    return { kind: 'given-up', reason: `a verification found the copy ${state}`, result: null }
  },

  async check(context, { task, subject: replica }, signal) {
    const job = task.reference?.job ?? null
    const file = tapeFileOf(replica)
    const found = await context.tape.check(
      file,
      {
        reference: job,
        readBack: readBackFor(replica, 'if-needed'),
        wasThere: replica.state === 'staged',
      },
      signal,
    )
    switch (found.kind) {
      case 'present':
        return stored(context, replica, { ...found, at: 'endpoint', how: 'found' }, task)
      case 'in-progress':
        return job === null
          ? { kind: 'busy', reason: found.reason }
          : {
              kind: 'pending',
              reference: task.reference,
              reason: found.isUnknown === true ? found.reason : null,
              result: null,
              takesTurn: true,
            }
      case 'different':
        return useAlternateName(context, replica, found.reason)
      case 'unverified':
        // A file that a service made may be verified later.
        return task.state === 'pending'
          ? pending(task, found.reason)
          : failed(`there is a file of this name that cannot be verified: ${found.reason}`)
      case 'unproven':
        return pending(task, UNPROVEN + found.reason)
      case 'failed':
        return { kind: 'to-do', jobEnded: job === null ? null : found.reason }
      case 'absent':
        return {
          kind: 'to-do',
          jobEnded: job === null ? null : 'it is not at the endpoint, and no job works on it',
        }
    }
  },

  async act(context, { task, subject: replica, trail }, generation, signal) {
    const found = await findSource(context, replica, signal)
    if (found.kind === 'missing') {
      const others = await otherCopies(context.database, replica)
      const result = { at: 'nowhere', detail: found.reason, others } as const
      return { kind: 'given-up', reason: `it cannot be copied: ${found.reason}`, result }
    }
    const options = { attempt: generation, thirdParty: mayUseThirdParty(trail, context.now()) }
    const copy = await context.tape
      .copy(tapeFileOf(replica), found.source, options, signal)
      .catch(async (error: unknown) => {
        await noteThirdPartyFailure(trail, error, context.now())
        throw error
      })
    switch (copy.kind) {
      case 'stored':
        return stored(context, replica, { ...copy, at: 'endpoint' }, task)
      case 'occupied':
        return useAlternateName(context, replica, copy.reason)
      case 'submitted':
        return {
          kind: 'pending',
          reference: referenceOf(copy.reference),
          reason: null,
          result: null,
          takesTurn: true,
        }
    }
  },

  async outcome(trx, _context, work, { ending, change, wasToDo, runId, at }) {
    const { subject: replica } = work
    // The file is no longer on the disk buffer.
    const lost = wasToDo && replica.state === 'staged' ? NOT_STORED : {}
    const facts = { ...lost, ...factsOf(replica, ending, at) }
    const result = await trx
      .updateTable('replicas')
      .set({ ...facts, updatedAt: at })
      .where('id', '=', replica.id)
      .where('updatedAt', '=', replica.updatedAt)
      .executeTakeFirst()
    // A verification changed the row meanwhile: the copy is checked again.
    if (result.numUpdatedRows === 0n) throw new ConflictError('the copy was changed by another function')
    const note = noteOf(work, ending, change, wasToDo)
    if (note !== null) await addHistory(trx, [{ runId, ...note, detail: cutText(note.detail) }], at)
    await refreshStorage(trx, runId)
    const over = await resolveRaised(trx, endedBy(replica, ending), at)
    const settled =
      ending.kind === 'done' ? await settleCopyAlerts(trx, { ...replica, key: replica.objectKey }, at) : []
    return [...over, ...settled, ...alertsOf(work, ending, change)]
  },

  /**
   * When the store does not give the catalogued bytes, its copy is verified, so that the catalogue states
   * what the store has.
   */
  async afterwards(context, { task, subject: replica }, ending, signal, log) {
    const hasFailedOften = ending.kind === 'failed' && task.attempts >= ATTEMPTS_BEFORE_FAILING
    const isInvalid = ending.kind === 'failed' && ending.isInvalid === true
    if (signal.aborted || !(hasFailedOften || isInvalid || ending.kind === 'given-up')) return
    const content = { bucket: replica.bucket, key: replica.objectKey, sha256: replica.sha256 }
    const source = (await replicasOfContent(context.database, content)).find(
      (copy) => copy.kind === 'cloud' && copy.state === 'present',
    )
    if (source !== undefined) await verifyReplica(context, source.id, { readBack: 'always' }, signal, log)
  },
}

const NOT_STORED = {
  state: 'planned',
  storedAt: null,
  verifiedAt: null,
  verifiedBy: null,
  verifiedEvidence: null,
} as const

const failed = (reason: string): Ending<Result> => ({ kind: 'failed', reason, jobEnded: false })

const pending = (
  { reference }: Task,
  reason: string | null,
  result: Result | null = null,
): Ending<Result> => ({
  kind: 'pending',
  reference,
  reason,
  result,
  takesTurn: false,
})

/** Done when it is on the medium; while it is on the endpoint's disk buffer, the endpoint has to move it. */
function stored(
  { now }: WithTape,
  { doubtedEvidence: doubt }: Replica,
  found: Stored,
  task: Task,
): Ending<Result> {
  const result = { ...found, onMedia: isKnownOnMedia(found, now()) }
  if (doubt !== null && isWeaker(result.evidence, doubt))
    return pending(
      task,
      `${result.verifiedBy}: other bytes were found under its name before, so it is read back`,
    )
  return result.onMedia ? { kind: 'done', result } : pending(task, mediumAssumed(found), result)
}

/** Another file has the name: the copy gets the alternate name, unless other contents have that one too. */
function useAlternateName(context: WithTape, replica: Replica, detail: string): Ending<Result> {
  const name = alternateTapeName({ bucket: replica.bucket, key: replica.objectKey }, replica.sha256)
  if (replica.name === name) return failed(`the alternate name of these contents holds others: ${detail}`)
  return {
    kind: 'restarted',
    reason: detail,
    result: { at: 'alternate-name', name, url: context.tape.url(name), detail },
  }
}

function factsOf(replica: Replica, ending: Ending<Result>, at: Date): ReplicaChange {
  switch (ending.kind) {
    case 'interrupted':
    case 'unavailable':
    case 'busy':
    case 'ready':
      return {}
    case 'failed':
      return { checkedAt: at }
  }
  const { result } = ending
  switch (result?.at) {
    case undefined:
      return ending.kind === 'pending' ? { checkedAt: at } : {}
    case 'nowhere':
      return { checkedAt: at }
    case 'alternate-name':
      return { ...NOT_STORED, name: result.name, url: result.url, checkedAt: at }
    case 'endpoint':
      return {
        storedAt: replica.storedAt ?? at,
        ...weigh(replica, { ...result, result: 'agrees', by: result.verifiedBy }, at),
      }
  }
}

/** The line of the run's history, when the change is worth one. */
function noteOf(
  { task, subject: replica }: Work<Replica>,
  ending: Ending<Result>,
  change: TaskChange,
  wasToDo: boolean,
): { readonly what: string; readonly detail: string } | null {
  const result = 'result' in ending ? ending.result : null
  if (wasToDo && replica.state === 'staged' && result?.at !== 'endpoint')
    return { what: 'copy missing', detail: `${replica.url} is no longer on the endpoint's disk buffer` }
  if (ending.kind === 'failed') {
    const isNews = task.attempts === 1 || change.state === 'failing'
    return isNews ? { what: 'copy to tape failed', detail: `try ${task.attempts}: ${ending.reason}` } : null
  }
  switch (result?.at) {
    case undefined: {
      const job = ending.kind === 'pending' ? ending.reference?.job : undefined
      return job === undefined || job === task.reference?.job
        ? null
        : { what: 'copy to tape submitted', detail: `${replica.endpoint}, ${job}` }
    }
    case 'nowhere':
      return { what: 'copy to tape impossible', detail: result.detail }
    case 'alternate-name':
      return {
        what: 'name on tape taken',
        detail: `${replica.url}: ${result.detail}; that file is kept, the copy goes to ${result.url}`,
      }
    case 'endpoint': {
      if (replica.state === 'staged' && !result.onMedia) return null
      const where = result.onMedia ? 'on tape' : "on the endpoint's disk buffer"
      return { what: where, detail: `${replica.url}, ${HOW[result.how]}, verified: ${result.verifiedBy}` }
    }
  }
}

const HOW = {
  streamed: 'streamed',
  'third-party': 'fetched by the endpoint itself',
  found: 'already there',
} as const

function alertsOf(
  { task, subject: replica }: Work<Replica>,
  ending: Ending<Result>,
  change: TaskChange,
): readonly Request[] {
  const about = { subject: replica.endpoint, ...fileOf(replica) }
  const facts = { sizeBytes: replica.sizeBytes }
  if (ending.kind === 'failed' && change.state === 'failing') {
    const summary = `${nameOf(replica)} has no copy on tape after ${task.attempts} tries: ${ending.reason}`
    return [
      alert({
        rule: 'tape-copy-fails',
        severity: 'error',
        ...about,
        summary,
        facts: { ...facts, attempts: task.attempts },
        cause: causeOf(replica, requestOf(task)),
      }),
    ]
  }
  const result = 'result' in ending ? ending.result : null
  if (result?.at === 'nowhere') {
    // The rows may still state what the store had before this attempt.
    const { others, detail } = result
    const otherCopy = others.verified.some(({ kind }) => kind === 'tape')
    const rest = otherCopy
      ? ''
      : `; no verified copy of these contents is known, ${searchAdvice(others)} and push it again`
    const summary = `${nameOf(replica)} (md5 ${replica.md5}) was not copied to tape in time: ${detail}${rest}`
    return [
      alert({
        rule: 'tape-source-gone',
        severity: otherCopy ? 'error' : 'page',
        ...about,
        summary,
        facts: { ...facts, md5: replica.md5 },
        cause: causeOf(replica, requestOf(task)),
      }),
    ]
  }
  if (result?.at === 'alternate-name') {
    const summary = `${replica.url} holds other contents than ${nameOf(replica)}; they are kept, and the copy gets another name`
    return [
      alert({
        rule: 'tape-name-taken',
        severity: 'warning',
        ...about,
        summary,
        facts,
        cause: causeOf(replica),
      }),
    ]
  }
  return []
}

/** The alerts about the work that end with it. Contents that no place has any more have an alert of their own. */
function endedBy(replica: Replica, ending: Ending<Result>): readonly Ended[] {
  const isNowhere = ending.kind === 'given-up' && ending.result?.at === 'nowhere'
  if (ending.kind !== 'done' && !isNowhere) return []
  const rules = [
    'tape-copy-fails',
    'not-on-tape',
    ...(isNowhere ? [] : (['tape-source-gone'] as const)),
  ] as const
  const summary = isNowhere ? ending.reason : `${nameOf(replica)} is on tape: ${replica.url}`
  return rules.map((rule) => ({ rule, subject: replica.endpoint, ...fileOf(replica), summary }))
}

/**
 * Makes copies that wait, at most `atOnce` at the same time, live runs first. Returns how many were tried.
 */
export async function copyWaiting(
  context: WithTape,
  atOnce: number,
  signal: AbortSignal,
  log: Logger,
): Promise<{ readonly made: number }> {
  const { copySeconds, copiesAtOnce } = context.config.tape
  const turn = { of: 'due', mostAtOnce: copiesAtOnce } as const
  const options = { ...endpointOf(context), turn, atOnce, limitSeconds: copySeconds }
  const ends = await advance(context, tapeCopy, options, signal, log)
  return { made: ends.length }
}

/** Many at the same time: each check is short. */
const CHECKS_AT_ONCE = 8

/** Checks every copy that is due and that a service makes or that waits on a disk buffer. */
export async function followCopies(
  context: WithTape,
  signal: AbortSignal,
  log: Logger,
): Promise<{ readonly checked: number; readonly onMedia: number }> {
  const turn = { of: 'pending' } as const
  const limitSeconds = context.config.tape.copySeconds
  const ends = await advance(
    context,
    tapeCopy,
    { ...endpointOf(context), turn, atOnce: CHECKS_AT_ONCE, limitSeconds },
    signal,
    log,
  )
  return { checked: ends.length, onMedia: ends.filter(({ ending }) => ending.kind === 'done').length }
}

const endpointOf = ({ tape }: WithTape) => ({ dependency: tapeBreaker(tape.endpoint) })
