/**
 * The task kind of a recall: a file is staged at the tape endpoint, copied into the store under its key and
 * verified there. However many functions try, at once or repeatedly, the file is brought back once.
 */
import type { Transaction } from 'kysely'
import { findRecall, RECALL, urlOfRecall } from '../../catalogue/recalls.ts'
import { causeOf, fileOf, nameOf } from '../../catalogue/replica-alerts.ts'
import { contentOf, lockRunOfContent, replicasOfContent } from '../../catalogue/replicas.ts'
import { addHistory } from '../../catalogue/runs.ts'
import type { Context } from '../../context.ts'
import type { Evidence, Recall } from '../../database/replica-schema.ts'
import type { Schema } from '../../database/schema.ts'
import { ConflictError, classify, InvalidInputError } from '../../errors.ts'
import { withoutSecrets } from '../../log.ts'
import type { ObjectDescription } from '../../storage/objects.ts'
import type { TapeDriver, TapeFile } from '../../tape/driver.ts'
import { cutText } from '../../text.ts'
import { blame, storeBreaker } from '../../work/breaker.ts'
import { alert } from '../../work/raise-alert.ts'
import { resolveRaised } from '../../work/raised-alerts.ts'
import type { Checked, Ending, TaskKind, Work } from '../../work/task-kind.ts'
import type { TaskChange } from '../../work/tasks.ts'
import { hasTape, type WithTape } from '../tape/tape-copy.ts'
import { checkObject, readBackFor, tapeFileOf } from '../verify/check-replica.ts'
import { verifyReplica } from '../verify/verify.ts'
import { bringBack, removeLeftovers, WRONG_READINGS } from './bring-back.ts'
import { tapeCopyOf } from './location.ts'
import { type InRound, releaseStaged } from './release-staged.ts'

/** Where the contents are after an attempt. */
type Result =
  | {
      readonly at: 'store'
      readonly object: ObjectDescription | null
      readonly evidence: Evidence
      readonly by: string
      readonly how: string
    }
  /** Other contents are under the key: this is no evidence about the copy on tape. */
  | { readonly at: 'occupied' }
  /** The endpoint is bringing it from the medium. */
  | { readonly at: 'endpoint'; readonly detail: string }

type RecallEnding = Ending<Result>
type RecallWork = Work<Recall>

/** How long the endpoint is asked to keep a staged file online, unless it is released before. */
export const STAGE_SECONDS = 86_400
const ENDING_MS = 10_000
/** An attempt may last 800 of the 900 seconds of a function: the end must be recorded within the rest. */
const VERIFY_MS = 60_000

export type RecallContext = Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'> & InRound

export const recallTask: TaskKind<RecallContext, Recall, Result> = {
  kind: RECALL,
  load: ({ database }, { subjectId }) => findRecall(database, subjectId),
  fields: ({ runNumber, tag, objectKey, sizeBytes }) => ({ run: runNumber, tag, key: objectKey, sizeBytes }),
  // Any other state: the file was in the store when it was requested again.
  settled: ({ state }) => (state === 'planned' ? null : { kind: 'done', result: null }),
  lock: async (trx, recall) => (await lockRunOfContent(trx, contentOf(recall))).run.id,

  check: (context, work, signal) => checkRecall(context, work, signal).catch(failureOfFile(work, signal)),

  act: (context, work, _generation, signal) =>
    fetchFile(context, work, signal)
      .catch(checkOnceMore(context, work, signal))
      .catch(failureOfFile(work, signal)),

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
      // The requested days count from now. A later request for a longer time keeps its own expiry.
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
    if (note !== null) await addHistory(trx, [{ runId, ...note, detail: cutText(note.detail) }], at)
    const condition = { rule: 'recall-failed', ...fileOf(recall) } as const
    if (change.state === 'done' && recall.generation > 1)
      return await resolveRaised(trx, [{ ...condition, summary: `${nameOf(recall)} is in the store` }], at)
    if (change.state !== 'given-up') return []
    return [
      alert({
        ...condition,
        severity: 'error',
        summary: `${nameOf(recall)} was not brought back from tape: ${change.lastError}`,
        facts: { sizeBytes: recall.sizeBytes },
        cause: causeOf(recall, String(recall.generation)),
      }),
    ]
  },
}

const failed = (reason: string): RecallEnding => ({ kind: 'failed', reason, jobEnded: false })
const givenUp = (reason: string): RecallEnding => ({ kind: 'given-up', reason, result: null })

/** Whether the contents are in the store; if they are not, the endpoint is asked to stage the file. */
async function checkRecall(
  context: RecallContext,
  work: RecallWork,
  signal: AbortSignal,
): Promise<Checked<Result>> {
  const { task, subject: recall, trail } = work
  const dependencyUnused = true
  if (await isBeingDeleted(context, recall))
    return { kind: 'busy', reason: 'the object is being deleted from the store', dependencyUnused }
  const there = await findInStore(context, recall, 'if-needed', 'found there', signal)
  if (there !== null) return { ...there, dependencyUnused }
  const copy = await findOnTape(context, recall)
  if ('ending' in copy) return { ...copy.ending, dependencyUnused }
  const before = trail.reference?.stage ?? null
  const round = context.round === undefined ? {} : { round: context.round }
  const staged = await copy.tape.stage(
    copy.file,
    { reference: before, lifetimeSeconds: STAGE_SECONDS, ...round },
    signal,
  )
  if (staged.reference !== before) await trail.note({ stage: staged.reference })
  if (staged.kind === 'failed') return failed(`it was not staged: ${staged.reason}`)
  if (staged.kind === 'online')
    return task.state === 'pending' ? { kind: 'ready' } : { kind: 'to-do', jobEnded: null }
  const { reference } = trail
  const { reason } = staged
  return { kind: 'pending', reference, reason, result: { at: 'endpoint', detail: reason }, takesTurn: false }
}

/** Copies a file that is online at the endpoint into the store. */
async function fetchFile(
  context: RecallContext,
  work: RecallWork,
  signal: AbortSignal,
): Promise<RecallEnding> {
  const { subject: recall, trail } = work
  const copy = await findOnTape(context, recall)
  if ('ending' in copy) return copy.ending
  // Throws if the lease was lost: nothing would remove what is sent after that.
  await trail.note({})
  const way = await bringBack({ ...context, tape: copy.tape }, recall, trail, copy.file, signal)
  // A streamed file was compared part by part on the way; one that the endpoint wrote must be read back.
  const readBack = way === 'streamed' ? 'if-needed' : 'always'
  return (
    (await findInStore(context, recall, readBack, way, signal)) ??
    failed('it was sent, but it is not in the store')
  )
}

/**
 * Past the deadline no next attempt checks the key: an attempt with an unknown outcome does so itself.
 * @throws what it was given, unless the contents are in the store.
 */
const checkOnceMore =
  (context: RecallContext, { task, subject: recall }: RecallWork, signal: AbortSignal) =>
  async (thrown: unknown): Promise<RecallEnding> => {
    if (task.deadlineAt === null || context.now() < task.deadlineAt || signal.aborted) throw thrown
    const there = await findInStore(context, recall, 'always', 'found there', signal).catch(() => null)
    if (there?.kind !== 'done') throw thrown
    return there
  }

async function isBeingDeleted({ database }: Context<'database'>, recall: Recall): Promise<boolean> {
  const copies = await replicasOfContent(database, contentOf(recall))
  return copies.some(({ kind, state }) => kind === 'cloud' && state === 'deleting')
}

/** Compares the object under the key with the catalogue. Null when there is no object. */
async function findInStore(
  context: RecallContext,
  recall: Recall,
  readBack: 'if-needed' | 'always',
  how: string,
  signal: AbortSignal,
): Promise<RecallEnding | null> {
  const copies = await replicasOfContent(context.database, contentOf(recall))
  const least = readBackFor(
    copies.find(({ kind }) => kind === 'cloud'),
    readBack,
  )
  const check = await checkObject(context, recall, least, signal).catch((error) => {
    throw blame(storeBreaker(recall.bucket), error)
  })
  switch (check.kind) {
    case 'verified':
      return { kind: 'done', result: { ...check, at: 'store', how } }
    case 'missing':
      return null
    case 'different':
      return {
        kind: 'given-up',
        reason: `the store holds other contents under ${recall.objectKey} (${check.reason}); a recall does not overwrite them`,
        result: { at: 'occupied' },
      }
    case 'unproven':
    case 'unknown':
      return failed(`the object in the store cannot be compared: ${check.reason}`)
  }
}

/** The copy on tape to read, or how the attempt ends when there is none. */
async function findOnTape(
  context: RecallContext,
  recall: Recall,
): Promise<{ readonly tape: TapeDriver; readonly file: TapeFile } | { readonly ending: RecallEnding }> {
  const { tape } = context
  if (tape === null) return { ending: failed('no tape endpoint is configured (CYGNET_TAPE_DRIVER)') }
  const copy = tapeCopyOf(await replicasOfContent(context.database, contentOf(recall)), tape.endpoint)
  return copy === null
    ? { ending: givenUp(`the tape endpoint ${tape.endpoint} has no verified copy of it any more`) }
    : { tape, file: tapeFileOf(copy) }
}

/**
 * Turns an error that is due to the file, not to the endpoint or the store, into an ending; rethrows any
 * other error. Readings that gave wrong bytes are counted in the trail.
 */
const failureOfFile =
  ({ trail }: RecallWork, signal: AbortSignal) =>
  async (thrown: unknown): Promise<RecallEnding> => {
    const error = classify(thrown)
    if (signal.aborted) throw thrown
    const reason = withoutSecrets(error.message)
    if (error instanceof InvalidInputError) return givenUp(reason)
    const { wrongBytes, missing } = error.details
    if (missing === true) return failed(reason)
    if (wrongBytes !== true) throw thrown
    const readings = Number(trail.reference?.wrong ?? 0) + 1
    if (readings >= WRONG_READINGS) return givenUp(`${reason} (read ${readings} times)`)
    await trail.note({ wrong: String(readings) })
    return failed(reason)
  }

/**
 * Removes at the end of a recall what it left in the store and on the disk buffer of the endpoint. If the
 * file was not brought back and the object in the store does not explain it, the copy on tape is verified
 * first, while it is still staged. A copy that cannot be read in a minute keeps its state.
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
  const limited = (ms = ENDING_MS) => AbortSignal.any([signal, AbortSignal.timeout(ms)])
  const isAboutStore = ending.kind === 'given-up' && ending.result !== null
  const isExplained = ending.kind === 'done' || ending.kind === 'interrupted' || isAboutStore
  if (hasTape(context) && !isExplained)
    await verifyTapeCopy(context, recall, limited(VERIFY_MS)).catch(logged('tape-copy-not-verified'))
  await removeLeftovers(context, recall, trail, limited()).catch(logged('recall-leftovers-not-removed'))
  if (hasTape(context))
    await releaseStaged(context, recall, trail, limited()).catch(logged('recall-not-released'))
  const { wrong, thirdPartyFailures } = trail.reference ?? {}
  if (wrong !== undefined || thirdPartyFailures !== undefined)
    await trail.note({ wrong: null, thirdPartyFailures: null })
}

/**
 * Reads the copy on tape once more and records the result, so that a wrong or missing file does not count as
 * a copy, and an alert is sent if it was the last one.
 */
async function verifyTapeCopy(context: WithTape, recall: Recall, signal: AbortSignal): Promise<void> {
  const copies = await replicasOfContent(context.database, contentOf(recall))
  const copy = tapeCopyOf(copies, context.tape.endpoint)
  if (copy !== null) await verifyReplica(context, copy.id, { readBack: 'always' }, signal, context.log)
}

/** @throws ConflictError when the file has left the store and was requested again: it must be fetched. */
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
    const { object, by, evidence } = ending.result
    return {
      state: 'present',
      storedAt: object?.lastModified ?? at,
      verifiedAt: at,
      verifiedBy: by.slice(0, 255),
      verifiedEvidence: evidence,
      checkedAt: at,
      etag: object === null || object.etag.length > LONGEST_ETAG ? null : object.etag,
    }
  }
  const isSeen = ending.kind === 'failed' || ending.kind === 'given-up' || ending.kind === 'pending'
  return isSeen ? { checkedAt: at } : {}
}

const LONGEST_ETAG = 255

/** The line for the run's history; null when the ending is of no interest to people. */
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
