/**
 * Requests to keep a run in the store until a given day: one row for each file, and a task and a message for
 * each file that must be fetched from tape.
 */
import type { Transaction } from 'kysely'
import { RECALL, recallIdentity, recallOfContent } from '../../catalogue/recalls.ts'
import {
  type Content,
  contentOfFile,
  lockRun,
  lockRunOfContent,
  replicasOfContent,
} from '../../catalogue/replicas.ts'
import { addHistory, type HistoryLine } from '../../catalogue/runs.ts'
import type { Context } from '../../context.ts'
import { inTransaction } from '../../database/connect.ts'
import type { CopyState, Recall, ShownRecall } from '../../database/replica-schema.ts'
import type { Run, RunFile, Schema } from '../../database/schema.ts'
import { InvalidInputError } from '../../errors.ts'
import { cutText } from '../../text.ts'
import { storeBreaker, tapeReadBreaker } from '../../work/breaker.ts'
import { addRequests, type Request } from '../../work/outbox.ts'
import { sendRequests } from '../../work/send-requests.ts'
import { addTask, extendDeadline, type NewTask, restartTask } from '../../work/tasks.ts'
import { chargeBudgets, lockBudgets } from './budget.ts'
import { type ContentLocation, isBackInStore, isRecalling, locateContent } from './location.ts'
import { recallMessage } from './message.ts'
import { type RunSelector, type RunWithFiles, resolveRun } from './resolve-run.ts'

type Trx = Transaction<Schema>

export interface RecallRequest {
  /** How long the files stay in the store, counted from when they are there. */
  readonly days: number
  /** Name of a person or a program, for the history. */
  readonly requestedBy: string
  /** Identity of the caller, whose budget it is; the name where there is none. */
  readonly subject?: string
  /** The budgets and the room in the store are exceeded on purpose. */
  readonly exceed?: boolean
}

export interface RecalledFile {
  readonly replicaId: number
  readonly bucket: string
  readonly key: string
  readonly sizeBytes: number
  /**
   * According to the catalogue the file is in the store already: nothing is fetched, and it is kept at least
   * until `expiresAt`.
   */
  readonly alreadyThere: boolean
  readonly state: CopyState
  readonly requestedAt: Date
  /** Preliminary until the file is in the store. */
  readonly expiresAt: Date
}

export interface RequestedRecall {
  readonly run: { readonly id: number; readonly tag: string; readonly runNumber: number }
  readonly files: readonly RecalledFile[]
}

const LONGEST_DAYS = 366
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/**
 * Requests all files of a run, or none of them. A repeated request extends the time in the store; a recall
 * that failed or expired is restarted.
 * @throws InvalidInputError when the run is unknown or ambiguous without a tag, or when one of its files is
 * available neither in the store nor on tape.
 */
export async function requestRecall(
  context: Context<'database' | 'queues'>,
  selector: RunSelector,
  request: RecallRequest,
  at: Date,
  signal: AbortSignal,
): Promise<RequestedRecall> {
  return await recallFiles(context, await resolveRun(context.database, selector), request, at, signal)
}

/**
 * The same for some files of a run. `missing`: files that were checked and are not in the store, whatever the
 * catalogue states.
 */
export async function recallFiles(
  context: Context<'database' | 'queues'>,
  { run, files }: RunWithFiles,
  request: RecallRequest,
  at: Date,
  signal: AbortSignal,
  missing: ReadonlySet<RunFile> = new Set(),
): Promise<RequestedRecall> {
  const [requested] = await recallRuns(context, [{ run, files }], request, at, signal, missing)
  if (requested === undefined) throw new Error('a run was requested and not returned')
  return requested
}

/**
 * The same for several runs: all of them are requested, or none.
 * @throws InvalidInputError also when a budget or the room in the store does not suffice.
 */
export async function recallRuns(
  context: Context<'database' | 'queues'>,
  runs: readonly RunWithFiles[],
  request: RecallRequest,
  at: Date,
  signal: AbortSignal,
  missing: ReadonlySet<RunFile> = new Set(),
): Promise<readonly RequestedRecall[]> {
  const { config } = context
  const { days, requestedBy, subject = requestedBy, exceed = false } = request
  if (!(days > 0 && days <= LONGEST_DAYS))
    throw new InvalidInputError(`a run is brought back for up to ${LONGEST_DAYS} days, not for ${days}`)
  const requester = { subject, tags: runs.map(({ run }) => run.tag) }
  const requested = await inTransaction(context.database, async (trx) => {
    const rows: RequestedFile[] = []
    for (const { run, files } of runs.toSorted((a, b) => a.run.id - b.run.id)) {
      // Every process locks the run before its replicas: the cleaner either sees this request or has deleted
      // the object before it.
      await lockRun(trx, run.id)
      for (const file of files) {
        const content = await lockRunOfContent(trx, contentOfFile(file, run))
        rows.push({ run, ...(await requestFile(trx, context, content, request, at, missing.has(file))) })
      }
    }
    const fetched = rows.flatMap(({ run, file, started: of, isBack }) =>
      of === null || isBack ? [] : [{ tag: run.tag, sizeBytes: file.sizeBytes }],
    )
    const started = rows.flatMap(({ started: of }) => of ?? [])
    if (started.length > 0)
      await addHistory(
        trx,
        started.map(({ line }) => line),
        at,
      )
    await addRequests(
      trx,
      started.map(({ message }) => message),
      at,
    )
    // Last: requests of everybody for the tag wait for this lock.
    await lockBudgets(trx, config, requester)
    await chargeBudgets(trx, config, requester, fetched, exceed, at)
    return rows
  })
  const names = requested.flatMap(({ started }) => (started === null ? [] : [started.message]))
  // The rows are committed: a message that is not sent now is sent by the next flush of the outbox, and the
  // schedule finds the rows without any message.
  await sendRequests(context, names, signal)
  return runs.map(({ run }) => ({
    run: { id: run.id, tag: run.tag, runNumber: run.runNumber },
    files: requested.flatMap((row) => (row.run === run ? [row.file] : [])),
  }))
}

interface RequestedFile {
  readonly run: Run
  readonly file: RecalledFile
  /** What is written with a request that starts the work; null when it does not. */
  readonly started: { readonly line: HistoryLine; readonly message: Request } | null
  /** An earlier recall has just brought it into the store: it is only checked. */
  readonly isBack: boolean
}

async function requestFile(
  trx: Trx,
  { config }: Context,
  content: Content,
  request: RecallRequest,
  at: Date,
  isMissing: boolean,
): Promise<Omit<RequestedFile, 'run'>> {
  const replicas = await replicasOfContent(trx, content)
  const where = locateContent(replicas, isMissing)
  if (where.kind === 'unavailable')
    throw new InvalidInputError(
      `${content.key} of run ${content.run.runNumber} of ${content.run.tag} cannot be brought back: ${where.reason}`,
    )
  const before = await recallOfContent(trx, content)
  const cloud = replicas.find(({ kind }) => kind === 'cloud')
  const isBack = !isMissing && isBackInStore(before ?? undefined, cloud)
  const until = new Date(at.getTime() + request.days * DAY_MS)
  const deadlineAt = new Date(at.getTime() + config.recall.hours * HOUR_MS)
  const isStarted = await startRecall(trx, content, before, where, { ...request, until, deadlineAt }, at)
  const recall = await recallOfContent(trx, content)
  if (recall === null) throw new Error('a recall vanished while its run was locked')
  const line = { runId: content.run.id, what: 'asked back from tape', detail: historyLine(content, request) }
  const started = isStarted ? { line, message: recallMessage(recall) } : null
  return { file: recalledFileOf(recall, where), started, isBack }
}

const historyLine = (content: Content, { days, requestedBy }: RecallRequest) =>
  `${content.bucket}/${content.key}, ${content.sizeBytes} bytes, for ${days} ${days === 1 ? 'day' : 'days'}, by ${requestedBy}`

type AvailableAt = Exclude<ContentLocation, { kind: 'unavailable' }>

interface DatedRequest extends RecallRequest {
  readonly until: Date
  readonly deadlineAt: Date
}

/**
 * Writes the request. While an earlier request is in progress, only its expiry and deadline change; otherwise
 * the whole recall.
 * @returns whether this request started the work to fetch the file.
 */
async function startRecall(
  trx: Trx,
  content: Content,
  before: ShownRecall | null,
  where: AvailableAt,
  { until, deadlineAt, requestedBy: by }: DatedRequest,
  at: Date,
): Promise<boolean> {
  const requestedBy = cutText(by, 100)
  const newRequest = { requestedAt: at, requestedBy, updatedAt: at, ...factsOf(where) }
  if (before === null) {
    const id = await insertRecall(trx, content, { ...newRequest, expiresAt: until })
    if (where.kind === 'on-tape')
      await addTask(trx, taskOf(id, content, where, { requestedBy, deadlineAt }), at)
    return where.kind === 'on-tape'
  }
  const change = (facts: Partial<Recall>) =>
    trx.updateTable('recalls').set(facts).where('id', '=', before.id).execute()
  const expiresAt = before.expiresAt !== null && before.expiresAt > until ? before.expiresAt : until
  const isInProgress = isRecalling(before) && before.state !== 'failed'
  if (before.state === 'copying' || (isInProgress && where.kind === 'on-tape')) {
    await change({ expiresAt, updatedAt: at })
    await extendDeadline(trx, { kind: RECALL, subjectId: before.id }, deadlineAt)
    return false
  }
  if (where.kind === 'in-store') {
    await change({ ...newRequest, expiresAt })
    return false
  }
  // The reference is kept: a running stage request is continued, and an upload that may be unfinished must
  // still be aborted.
  const task = taskOf(before.id, content, where, { requestedBy, deadlineAt })
  const restarted = await restartTask(trx, task, at, { keepsReference: true })
  if (!restarted) await extendDeadline(trx, task, deadlineAt)
  await change(
    restarted
      ? { ...newRequest, expiresAt: until, generation: before.generation + 1, etag: null }
      : // The task is still in progress, although the file was in the store in the meantime.
        { ...factsOf(where), expiresAt, updatedAt: at },
  )
  return restarted
}

const taskOf = (
  subjectId: number,
  content: Content,
  { copy }: Extract<AvailableAt, { kind: 'on-tape' }>,
  rest: Pick<NewTask, 'requestedBy' | 'deadlineAt'>,
): NewTask => ({
  ...rest,
  kind: RECALL,
  subjectId,
  runId: content.run.id,
  dependency: tapeReadBreaker(copy.endpoint),
  needs: storeBreaker(content.bucket),
  priority: 'live',
})

async function insertRecall(
  trx: Trx,
  content: Content,
  facts: ReturnType<typeof factsOf> & Pick<Recall, 'requestedAt' | 'requestedBy' | 'updatedAt' | 'expiresAt'>,
): Promise<number> {
  const { run, key, ...contents } = content
  const { insertId } = await trx
    .insertInto('recalls')
    .values({
      ...contents,
      ...facts,
      identity: recallIdentity(content),
      runId: run.id,
      tag: run.tag,
      runNumber: run.runNumber,
      objectKey: key,
    })
    .executeTakeFirstOrThrow()
  return Number(insertId)
}

/**
 * A file that is in the store according to the catalogue counts as brought back: the cleaner then keeps it.
 */
const factsOf = (where: AvailableAt) =>
  where.kind === 'in-store'
    ? {
        state: 'present' as const,
        storedAt: where.cloud.storedAt,
        verifiedAt: where.cloud.verifiedAt,
        verifiedBy: where.cloud.verifiedBy,
        verifiedEvidence: where.cloud.verifiedEvidence,
      }
    : { state: 'planned' as const }

const recalledFileOf = (recall: ShownRecall, where: AvailableAt): RecalledFile => ({
  replicaId: recall.id,
  bucket: recall.bucket,
  key: recall.objectKey,
  sizeBytes: recall.sizeBytes,
  alreadyThere: where.kind === 'in-store',
  state: recall.state,
  requestedAt: recall.requestedAt,
  expiresAt: recall.expiresAt ?? recall.requestedAt,
})
