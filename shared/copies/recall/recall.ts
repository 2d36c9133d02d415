/**
 * A recall as a kind of task: a file is staged at the tape endpoint, brought into the store under its key and
 * verified there. Any number of functions, at once or repeated, bring a file back once.
 */
import type { Transaction } from 'kysely'
import { dependencyAlert } from '../../catalogue/next-steps.ts'
import { contentOfRecall, findRecall, RECALL, urlOfRecall } from '../../catalogue/recalls.ts'
import { lockRunOfContent, replicasOfContent } from '../../catalogue/replicas.ts'
import { addHistory } from '../../catalogue/runs.ts'
import type { Context } from '../../context.ts'
import type { Recall } from '../../database/replica-schema.ts'
import type { Schema } from '../../database/schema.ts'
import type { Task } from '../../database/work-schema.ts'
import { ConflictError, classify, InvalidInputError } from '../../errors.ts'
import { withoutSecrets } from '../../log.ts'
import type { ObjectDescription } from '../../storage/objects.ts'
import type { TapeDriver, TapeFile } from '../../tape/driver.ts'
import { blame, storeBreaker } from '../../work/breaker.ts'
import type { Checked, Ending, TaskKind, Work } from '../../work/task-kind.ts'
import type { TaskChange } from '../../work/tasks.ts'
import { nameOf, replicaAlert } from '../tape/alerts.ts'
import { hasTape, type WithTape } from '../tape/tape-copy.ts'
import { checkObject, tapeFileOf } from '../verify/check-replica.ts'
import { verifyReplica } from '../verify/verify.ts'
import { bringBack, removeLeftovers } from './bring-back.ts'
import { tapeCopyOf } from './location.ts'
import { releaseStaged } from './release-staged.ts'

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
  // It was in the store when it was requested again.
  settled: ({ state }) => (state === 'planned' ? null : { kind: 'done', result: null }),
  lock: async (trx, recall) => (await lockRunOfContent(trx, contentOfRecall(recall))).run.id,

  check: (context, work, signal) =>
    checkRecall(context, work, signal).catch(failureOfFile(work.task, signal)),

  act: (context, work, _generation, signal) =>
    fetchFile(context, work, signal).catch(failureOfFile(work.task, signal)),

  beforeEnd: cleanUp,

  async outcome(trx, _context, work, { ending, change, runId, at }) {
    const { subject: recall } = work
    if (ending.kind === 'done' && ending.result === null) await assertNotRequestedAgain(trx, recall)
    await trx
      .updateTable('recalls')
      .set({ ...factsOf(ending, at), updatedAt: at })
      .where('id', '=', recall.id)
      .execute()
    if (isBack(ending)) {
      // When it leaves again is reckoned from now. Who asked again meanwhile for longer keeps what was
      // promised.
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

/** Whether the contents are in the store; where they are not, the endpoint is to make them readable. */
async function checkRecall(
  context: RecallContext,
  work: RecallWork,
  signal: AbortSignal,
): Promise<Checked<Result>> {
  const { task, subject: recall, trail } = work
  const dependencyUnused = true
  if (await isBeingDeleted(context, recall))
    return { kind: 'busy', reason: 'the object is just being deleted from the store', dependencyUnused }
  const there = await findInStore(context, recall, 'if-needed', 'found there', signal)
  if (there !== null) return { ...there, dependencyUnused }
  const copy = await findOnTape(context, recall)
  if ('ending' in copy) return { ...copy.ending, dependencyUnused }
  const before = trail.reference?.stage ?? null
  const staged = await copy.tape.stage(
    copy.file,
    { reference: before, lifetimeSeconds: STAGE_SECONDS },
    signal,
  )
  if (staged.reference !== before) await trail.note({ stage: staged.reference })
  if (staged.kind === 'online')
    return task.state === 'pending' ? { kind: 'ready' } : { kind: 'to-do', jobEnded: null }
  const { reference } = trail
  const result = { at: 'endpoint', detail: staged.reason } as const
  return { kind: 'pending', reference, reason: null, result, takesTurn: false }
}

/** Brings what can be read at the endpoint into the store. */
async function fetchFile(
  context: RecallContext,
  work: RecallWork,
  signal: AbortSignal,
): Promise<RecallEnding> {
  const { subject: recall, trail } = work
  const copy = await findOnTape(context, recall)
  if ('ending' in copy) return copy.ending
  // Fails where the lease was lost: what is sent then, nobody clears away.
  await trail.note({})
  const way = await bringBack({ ...context, tape: copy.tape }, recall, trail, copy.file, signal)
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

/** The copy that is read, or why there is none. */
async function findOnTape(
  context: RecallContext,
  recall: Recall,
): Promise<{ readonly tape: TapeDriver; readonly file: TapeFile } | { readonly ending: RecallEnding }> {
  const { tape } = context
  if (tape === null) return { ending: failed('no tape endpoint is configured (CYGNET_TAPE_DRIVER)') }
  const copy = tapeCopyOf(await replicasOfContent(context.database, contentOfRecall(recall)), tape.endpoint)
  return copy === null
    ? { ending: givenUp(`there is no verified copy of it at the tape endpoint ${tape.endpoint} any more`) }
    : { tape, file: tapeFileOf(copy) }
}

/**
 * What is wrong with the file, and with neither endpoint nor store, ends the attempt; all else is thrown
 * again.
 */
const failureOfFile =
  ({ attempts }: Task, signal: AbortSignal) =>
  (thrown: unknown): RecallEnding => {
    const error = classify(thrown)
    if (signal.aborted) throw thrown
    const reason = withoutSecrets(error.message)
    if (error instanceof InvalidInputError) return givenUp(reason)
    const { wrongBytes, missing } = error.details
    if (wrongBytes === true && attempts >= WRONG_READINGS)
      return givenUp(`${reason} (read ${attempts} times)`)
    if (wrongBytes === true || missing === true) return failed(reason)
    throw thrown
  }

/**
 * At the end of a recall, whatever the end is, nothing of it is left: neither in the store, nor on the disk
 * of the endpoint. Before that the copy on tape is read once more, while it is staged still, when it is not
 * known why it did not come back.
 */
async function cleanUp(
  context: RecallContext,
  { subject: recall, trail }: RecallWork,
  ending: RecallEnding,
  signal: AbortSignal,
): Promise<void> {
  const log = context.log.child(recallTask.fields(recall))
  const logged = (event: string) => (error: unknown) => {
    signal.throwIfAborted()
    log.warn({ error }, event)
  }
  const limited = () => AbortSignal.any([signal, AbortSignal.timeout(ENDING_MS)])
  const isAboutStore = ending.kind === 'given-up' && ending.result !== null
  if (hasTape(context) && ending.kind !== 'done' && !isAboutStore)
    await verifyTapeCopy(context, recall, signal).catch(logged('tape-copy-not-verified'))
  await removeLeftovers(context, recall, trail, limited()).catch(logged('recall-not-tidied-up'))
  if (hasTape(context))
    await releaseStaged(context, recall, trail, limited()).catch(logged('recall-not-released'))
}

/**
 * What was to come back does not: the copy on tape is read once more and what is seen is written down, so
 * that nobody counts on wrong bytes or on a file that is not there, and people hear of it when it was the
 * last copy.
 */
async function verifyTapeCopy(context: WithTape, recall: Recall, signal: AbortSignal): Promise<void> {
  const copies = await replicasOfContent(context.database, contentOfRecall(recall))
  const copy = tapeCopyOf(copies, context.tape.endpoint)
  if (copy !== null) await verifyReplica(context, copy.id, { readBack: 'always' }, signal, context.log)
}

/** @throws ConflictError when it left the store again, and is to be fetched after all. */
async function assertNotRequestedAgain(trx: Transaction<Schema>, { id }: Recall): Promise<void> {
  const { state } = await trx
    .selectFrom('recalls')
    .select('state')
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirstOrThrow()
  if (state === 'planned') throw new ConflictError('it was requested again meanwhile')
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
