/**
 * A recall as a kind of task: a file is staged at the tape endpoint, brought into the store under its key and
 * verified there. Any number of functions, at once or repeated, bring a file back once.
 */
import { contentOfRecall, findRecall, RECALL, urlOfRecall } from '../../catalogue/recalls.ts'
import { lockRunOfContent, replicasOfContent } from '../../catalogue/replicas.ts'
import { addHistory } from '../../catalogue/runs.ts'
import type { Context } from '../../context.ts'
import type { Recall } from '../../database/replica-schema.ts'
import type { Task } from '../../database/work-schema.ts'
import { classify, InvalidInputError } from '../../errors.ts'
import { withoutSecrets } from '../../log.ts'
import type { ObjectDescription } from '../../storage/objects.ts'
import type { StageResult, TapeFile } from '../../tape/driver.ts'
import { blame, storeBreaker } from '../../work/breaker.ts'
import type { Checked, Ending, TaskKind, Work } from '../../work/task-kind.ts'
import { renewTask, type TaskChange } from '../../work/tasks.ts'
import { dependencyAlert, nameOf, replicaAlert } from '../tape/alerts.ts'
import { hasTape, type WithTape } from '../tape/tape-copy.ts'
import { checkObject, tapeFileOf } from '../verify/check-replica.ts'
import { verifyReplica } from '../verify/verify.ts'
import { bringBack, tidyUp } from './bring-back.ts'
import { letGo } from './let-go.ts'
import { type Trail, trailOf } from './trail.ts'
import { tapeCopyOf } from './whereabouts.ts'

/** What is known of the contents after an attempt. */
type Result =
  | {
      readonly at: 'store'
      readonly object: ObjectDescription | null
      readonly by: string
      readonly how: string
    }
  /** Other contents have the key: that says nothing about the copy on tape. */
  | { readonly at: 'occupied' }
  /** The endpoint is bringing it from the medium. */
  | { readonly at: 'endpoint'; readonly detail: string }

type RecallEnding = Ending<Result>
type RecallWork = Work<Recall>

/** Damage on the way passes; what is wrong after so many readings is wrong at the endpoint. */
const WRONG_READINGS = 3
/** How long the endpoint is asked to keep a staged file where it can be read, should nobody release it. */
const STAGE_SECONDS = 86_400
const ENDING_MS = 10_000

export type RecallContext = Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>

export const recallTask: TaskKind<RecallContext, Recall, Result> = {
  kind: RECALL,
  load: ({ database }, { subjectId }) => findRecall(database, subjectId),
  fields: ({ runNumber, tag, objectKey, sizeBytes }) => ({ run: runNumber, tag, key: objectKey, sizeBytes }),
  // What was begun is to be cleared away first: check sees to it.
  settled: () => null,
  lock: async (trx, recall) => (await lockRunOfContent(trx, contentOfRecall(recall))).run.id,

  check: (context, work, signal) =>
    untilItsEnd(context, work, signal, (trail) => find(context, work, trail, signal)),

  act: (context, work, _generation, signal) =>
    untilItsEnd(context, work, signal, (trail) => fetch(context, work, trail, signal)),

  async outcome(trx, _context, work, { ending, change, runId, at }) {
    const { subject: recall } = work
    await trx
      .updateTable('recalls')
      .set({ ...factsOf(ending, at), updatedAt: at })
      .where('id', '=', recall.id)
      .execute()
    if (isBack(ending)) {
      // When it leaves again is reckoned from now. Who asked again meanwhile for longer keeps what was promised.
      const wantedMs = Math.max(0, recall.expiresAt.getTime() - recall.requestedAt.getTime())
      const expiresAt = new Date(at.getTime() + wantedMs)
      await trx
        .updateTable('recalls')
        .set({ expiresAt })
        .where('id', '=', recall.id)
        .where('expiresAt', '<', expiresAt)
        .execute()
    }
    const note = noteOf(work, ending, change)
    if (note !== null)
      await addHistory(trx, [{ runId, ...note, detail: note.detail.slice(0, MOST_CHARACTERS) }], at)
    if (change.state !== 'given-up') return []
    const summary = `${nameOf(recall)} was not brought back from tape: ${change.lastError}`
    return [replicaAlert(recall, 'recall-failed', 'error', summary, String(recall.generation))]
  },

  dependencyAlert,
}

const MOST_CHARACTERS = 4000
const failed = (reason: string): RecallEnding => ({ kind: 'failed', reason, jobEnded: false })
const givenUp = (reason: string): RecallEnding => ({ kind: 'given-up', reason, result: null })

/** Whether the contents are in the store, or how far the endpoint is with them. */
async function find(
  context: RecallContext,
  { task, subject: recall }: RecallWork,
  trail: Trail,
  signal: AbortSignal,
): Promise<Checked<Result>> {
  const unasked = true
  // It was asked for while it was in the store.
  if (recall.state !== 'planned') return { kind: 'done', result: null, unasked }
  const isPending = task.state === 'pending'
  if (await isBeingDeleted(context, recall)) {
    const reason = 'the object is just being deleted from the store'
    return isPending
      ? { kind: 'pending', reference: trail.reference, reason, result: null, takesTurn: false, unasked }
      : { kind: 'busy', reason, unasked }
  }
  const there = await findInStore(context, recall, 'if-needed', 'found there', signal)
  if (there !== null) return { ...there, unasked }
  if (!isPending) return { kind: 'to-do', jobEnded: null, unasked }
  const staged = await stage(context, recall, trail, signal)
  if ('ending' in staged) return staged.ending
  return staged.kind === 'online' ? { kind: 'ready' } : staging(context, task, trail, staged)
}

async function fetch(
  context: RecallContext,
  { task, subject: recall }: RecallWork,
  trail: Trail,
  signal: AbortSignal,
): Promise<RecallEnding> {
  const staged = await stage(context, recall, trail, signal)
  if ('ending' in staged) return staged.ending
  if (staged.kind === 'staging') return staging(context, task, trail, staged)
  const { upload } = trail.reference ?? {}
  const online = { ...(upload && { upload }), ...(staged.reference !== null && { stage: staged.reference }) }
  await trail.note(Object.keys(online).length === 0 ? null : online)
  const way = await bringBack(staged.context, recall, trail, staged.file, signal)
  // What another wrote is as good as its word; what we streamed was compared on the way, part by part.
  const readBack = way === 'streamed' ? 'if-needed' : 'always'
  return (
    (await findInStore(context, recall, readBack, way, signal)) ??
    failed('it was sent, yet it is not in the store')
  )
}

async function isBeingDeleted({ database }: Context<'database'>, recall: Recall): Promise<boolean> {
  const copies = await replicasOfContent(database, contentOfRecall(recall))
  return copies.some(({ kind, state }) => kind === 'cloud' && state === 'deleting')
}

/** What is under the key now, compared with the catalogue: the end of the recall, one way or the other. */
async function findInStore(
  context: RecallContext,
  recall: Recall,
  readBack: 'if-needed' | 'always',
  how: string,
  signal: AbortSignal,
): Promise<RecallEnding | null> {
  const check = await checkObject(context, recall, readBack, signal).catch((error) => {
    throw blame(storeBreaker(recall.bucket), error)
  })
  switch (check.kind) {
    case 'verified':
      return { kind: 'done', result: { at: 'store', object: check.object, by: check.by, how } }
    case 'missing':
      return null
    case 'different':
      return {
        kind: 'given-up',
        reason: `the store holds other contents under ${recall.objectKey} (${check.reason}); they stay, a recall overwrites nothing`,
        result: { at: 'occupied' },
      }
    case 'unknown':
      return failed(`what is in the store cannot be compared: ${check.reason}`)
  }
}

type Staged =
  | (StageResult & { readonly file: TapeFile; readonly context: WithTape })
  | { readonly ending: RecallEnding }

/** Asks for the file, or how far it is with what was asked for before. */
async function stage(
  context: RecallContext,
  recall: Recall,
  { reference }: Trail,
  signal: AbortSignal,
): Promise<Staged> {
  if (!hasTape(context)) return { ending: failed('no tape endpoint is configured (CYGNET_TAPE_DRIVER)') }
  const { tape } = context
  const copy = tapeCopyOf(await replicasOfContent(context.database, contentOfRecall(recall)), tape.endpoint)
  if (copy === null)
    return {
      ending: givenUp(`there is no verified copy of it at the tape endpoint ${tape.endpoint} any more`),
    }
  const file = tapeFileOf(copy)
  const options = { reference: reference?.stage ?? null, lifetimeSeconds: STAGE_SECONDS }
  return { ...(await tape.stage(file, options, signal)), file, context }
}

function staging(
  context: RecallContext,
  task: Task,
  { reference }: Trail,
  { reference: request, reason }: Extract<StageResult, { kind: 'staging' }>,
): RecallEnding {
  if (isTooLate(context, task)) return failed(task.lastError ?? 'the tape endpoint has not made it readable')
  return {
    kind: 'pending',
    reference: { ...reference, stage: request },
    reason: null,
    result: { at: 'endpoint', detail: reason },
    takesTurn: false,
  }
}

const isTooLate = ({ now }: Context, { deadlineAt }: Task): boolean =>
  deadlineAt !== null && now() >= deadlineAt

/**
 * Does a step. At the end of a recall, whatever the end is, nothing of it is left: neither in the store, nor on
 * the disk of the endpoint.
 */
async function untilItsEnd<Step extends Checked<Result>>(
  context: RecallContext,
  work: RecallWork,
  signal: AbortSignal,
  step: (trail: Trail) => Promise<Step>,
): Promise<Step | RecallEnding> {
  const { task } = work
  const trail = trailOf(context.database, task)
  const end = (ending: RecallEnding | null) => clearAway(context, work, trail, ending, signal)
  try {
    const ending = await step(trail).catch((thrown: unknown) => endingOf(task, thrown, signal))
    const isEnd = ending.kind === 'done' || ending.kind === 'given-up'
    if (isEnd || (ending.kind === 'failed' && isTooLate(context, task))) await end(ending)
    return ending
  } catch (error) {
    if (!signal.aborted && isTooLate(context, task)) await end(null)
    throw error
  }
}

/** What no other attempt can better ends the recall; all else is thrown again. */
function endingOf(task: Task, thrown: unknown, signal: AbortSignal): RecallEnding {
  const error = classify(thrown)
  const reason = withoutSecrets(error.message)
  if (signal.aborted) throw thrown
  if (error instanceof InvalidInputError) return givenUp(reason)
  // That is the file's, not the endpoint's.
  if (error.details.wrongBytes !== true) throw thrown
  return task.attempts < WRONG_READINGS ? failed(reason) : givenUp(`${reason} (read ${task.attempts} times)`)
}

/**
 * While the task is held: what is cleared away, another who has taken over would miss. Before that the copy on
 * tape is read once more, while it is staged still, when it is not known why it did not come back.
 */
async function clearAway(
  context: RecallContext,
  work: RecallWork,
  trail: Trail,
  ending: RecallEnding | null,
  signal: AbortSignal,
): Promise<void> {
  const { task, subject: recall } = work
  const log = context.log.child(recallTask.fields(recall))
  if (hasTape(context)) {
    const isAboutStore = ending?.kind === 'given-up' && ending.result !== null
    if (ending?.kind !== 'done' && !isAboutStore) await doubtTapeCopy(context, recall, signal)
    await renewTask(context.database, task, context.config.work.leaseSeconds)
    await tidyUp(context, recall, trail, AbortSignal.timeout(ENDING_MS)).catch((error) =>
      log.warn({ error }, 'recall-not-tidied-up'),
    )
    const request = trail.reference?.stage
    if (request !== undefined)
      await letGo(context, recall, request, AbortSignal.timeout(ENDING_MS)).catch((error) =>
        log.warn({ error }, 'recall-not-released'),
      )
  }
  await trail.note(null)
}

/**
 * What was to come back does not: the copy on tape is read once more and what is seen is written down, so
 * that nobody counts on wrong bytes or on a file that is not there, and people hear of it when it was the
 * last copy.
 */
async function doubtTapeCopy(context: WithTape, recall: Recall, signal: AbortSignal): Promise<void> {
  const copies = await replicasOfContent(context.database, contentOfRecall(recall))
  const copy = tapeCopyOf(copies, context.tape.endpoint)
  if (copy !== null) await verifyReplica(context, copy.id, { readBack: 'always' }, signal, context.log)
}

const isBack = (ending: RecallEnding) => ending.kind === 'done' && ending.result?.at === 'store'

function factsOf(ending: RecallEnding, at: Date): Partial<Recall> {
  if (ending.kind === 'done' && ending.result?.at === 'store') {
    const { object, by } = ending.result
    return {
      state: 'present',
      storedAt: object?.lastModified ?? at,
      verifiedAt: at,
      verifiedBy: by.slice(0, 255),
      checkedAt: at,
      etag: object === null || object.etag.length > LONGEST_ETAG ? null : object.etag,
    }
  }
  const isSeen = ending.kind === 'failed' || ending.kind === 'given-up' || ending.kind === 'pending'
  return isSeen ? { checkedAt: at } : {}
}

const LONGEST_ETAG = 255

/** The line of the run's history, where people should read of it. */
function noteOf(
  { task, subject: recall }: RecallWork,
  ending: RecallEnding,
  change: TaskChange,
): { readonly what: string; readonly detail: string } | null {
  if (change.state === 'given-up') return { what: 'recall failed', detail: change.lastError ?? '' }
  if (ending.kind === 'failed')
    return task.attempts === 1 ? { what: 'recall failed, tried again', detail: ending.reason } : null
  const result = 'result' in ending ? ending.result : null
  if (result?.at === 'store')
    return {
      what: 'back in the store',
      detail: `${urlOfRecall(recall)}, ${result.how}, verified: ${result.by}`,
    }
  if (result?.at === 'endpoint' && task.state !== 'pending')
    return { what: 'being staged from tape', detail: result.detail }
  return null
}
