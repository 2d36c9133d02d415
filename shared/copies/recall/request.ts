/**
 * The request to have a run in the store until some day: one row a file, and a task and a message for each that
 * must be fetched.
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
import { addHistory } from '../../catalogue/runs.ts'
import type { Context } from '../../context.ts'
import { inTransaction } from '../../database/connect.ts'
import type { CopyState, Recall, ShownRecall } from '../../database/replica-schema.ts'
import type { RunFile, Schema } from '../../database/schema.ts'
import { InvalidInputError } from '../../errors.ts'
import { storeBreaker, tapeReadBreaker } from '../../work/breaker.ts'
import { addRequests } from '../../work/outbox.ts'
import { sendRequests } from '../../work/send-requests.ts'
import { addTask, type NewTask, restartTask } from '../../work/tasks.ts'
import { type ChosenRun, chooseRun, type RunChoice } from './choose-run.ts'
import { recallMessage } from './message.ts'
import { isRecalling, type Whereabouts, whereaboutsOf } from './whereabouts.ts'

type Trx = Transaction<Schema>

export interface RecallWish {
  /** How long it is to stay in the store, counted from when it is there. */
  readonly days: number
  /** A person or a program, for the history. */
  readonly requestedBy: string
}

export interface RecalledFile {
  readonly replicaId: number
  readonly bucket: string
  readonly key: string
  readonly sizeBytes: number
  /**
   * The catalogue says that it is in the store already: nothing is fetched, and it stays until `expiresAt` at
   * least.
   */
  readonly alreadyThere: boolean
  readonly state: CopyState
  readonly requestedAt: Date
  /** Preliminary until the file is there. */
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
 * Asks for all files of a run, or for none of them. Asked again, it stays longer; what had failed or expired
 * is begun anew.
 * @throws InvalidInputError with a sentence when the run is unknown, its tag must be said, or a file of it
 * can be had nowhere.
 */
export async function requestRecall(
  context: Context<'database' | 'queues'>,
  choice: RunChoice,
  wish: RecallWish,
  at: Date,
  signal: AbortSignal,
): Promise<RequestedRecall> {
  return await recallFiles(context, await chooseRun(context.database, choice), wish, at, signal)
}

/**
 * The same for some files of a run. `gone`: files that were looked for and are not in the store, whatever the
 * catalogue says.
 */
export async function recallFiles(
  context: Context<'database' | 'queues'>,
  { run, files }: ChosenRun,
  wish: RecallWish,
  at: Date,
  signal: AbortSignal,
  gone: ReadonlySet<RunFile> = new Set(),
): Promise<RequestedRecall> {
  if (!(wish.days > 0 && wish.days <= LONGEST_DAYS))
    throw new InvalidInputError(`a run is brought back for up to ${LONGEST_DAYS} days, not for ${wish.days}`)
  const reference = { id: run.id, tag: run.tag, runNumber: run.runNumber }
  const wished = await inTransaction(context.database, async (trx) => {
    // The run before its replicas, as everybody locks: from here on the cleaner sees the wish or has deleted
    // before it.
    await lockRun(trx, run.id)
    const rows: Wished[] = []
    for (const file of files)
      rows.push(
        await wishFor(
          trx,
          context,
          await lockRunOfContent(trx, contentOfFile(file, reference)),
          wish,
          at,
          gone.has(file),
        ),
      )
    return rows
  })
  const names = wished.flatMap(({ request: name }) => (name === null ? [] : [{ name }]))
  // Written down is enough: what is not sent now is sent by the next flush, and the schedule looks at the
  // rows themselves.
  await sendRequests(context, names, signal)
  return { run: reference, files: wished.map(({ file }) => file) }
}

interface Wished {
  readonly file: RecalledFile
  /** The name of the message that was written with it; null when none was needed. */
  readonly request: string | null
}

async function wishFor(
  trx: Trx,
  { config }: Context,
  content: Content,
  wish: RecallWish,
  at: Date,
  gone: boolean,
): Promise<Wished> {
  const where = whereaboutsOf(await replicasOfContent(trx, content), gone)
  if (where.kind === 'nowhere')
    throw new InvalidInputError(
      `${content.key} of run ${content.run.runNumber} of ${content.run.tag} cannot be brought back: ${where.why}`,
    )
  const before = await recallOfContent(trx, content)
  const until = new Date(at.getTime() + wish.days * DAY_MS)
  const deadlineAt = new Date(at.getTime() + config.recall.hours * HOUR_MS)
  const begun = await begin(trx, content, before, where, { ...wish, until, deadlineAt }, at)
  const recall = await recallOfContent(trx, content)
  if (recall === null) throw new Error('a recall vanished while its run was locked')
  if (begun) {
    await addHistory(
      trx,
      [{ runId: content.run.id, what: 'asked back from tape', detail: historyLine(content, wish) }],
      at,
    )
    await addRequests(trx, [recallMessage(recall)], at)
  }
  return { file: answerOf(recall, where), request: begun ? recallMessage(recall).name : null }
}

const historyLine = (content: Content, { days, requestedBy }: RecallWish) =>
  `${content.bucket}/${content.key}, ${content.sizeBytes} bytes, for ${days} ${days === 1 ? 'day' : 'days'}, by ${requestedBy}`

type Found = Exclude<Whereabouts, { kind: 'nowhere' }>

interface Wanted extends RecallWish {
  readonly until: Date
  readonly deadlineAt: Date
}

/**
 * Writes the request down. Asked again while somebody works on it, only the end changes; else the whole recall.
 * @returns whether it is to be fetched, and nobody had begun that before.
 */
async function begin(
  trx: Trx,
  content: Content,
  before: ShownRecall | null,
  where: Found,
  { until, deadlineAt, requestedBy: by }: Wanted,
  at: Date,
): Promise<boolean> {
  const requestedBy = by.slice(0, 100)
  const anew = { requestedAt: at, requestedBy, updatedAt: at, ...factsOf(where) }
  if (before === null) {
    const id = await insertRecall(trx, content, { ...anew, expiresAt: until })
    if (where.kind === 'on-tape')
      await addTask(trx, taskOf(id, content, where, { requestedBy, deadlineAt }), at)
    return where.kind === 'on-tape'
  }
  const change = (facts: Partial<Recall>) =>
    trx.updateTable('recalls').set(facts).where('id', '=', before.id).execute()
  const expiresAt = before.expiresAt !== null && before.expiresAt > until ? before.expiresAt : until
  const isOnItsWay = isRecalling(before) && before.state !== 'failed'
  if (before.state === 'copying' || (isOnItsWay && where.kind === 'on-tape')) {
    await change({ expiresAt, updatedAt: at })
    return false
  }
  if (where.kind === 'in-store') {
    await change({ ...anew, expiresAt })
    return false
  }
  // A stage request that goes on is followed, and an upload that was begun and not seen to end is still to be
  // given up.
  const task = taskOf(before.id, content, where, { requestedBy, deadlineAt })
  const restarted = await restartTask(trx, task, at, { keepsReference: true })
  await change(
    restarted
      ? { ...anew, expiresAt: until, generation: before.generation + 1, etag: null }
      : // Somebody works on it still, though it was in the store meanwhile.
        { ...factsOf(where), expiresAt, updatedAt: at },
  )
  return restarted
}

const taskOf = (
  subjectId: number,
  content: Content,
  { copy }: Extract<Found, { kind: 'on-tape' }>,
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

/** What is in the store by the catalogue counts as brought back: so the cleaner leaves it alone. */
const factsOf = (where: Found) =>
  where.kind === 'in-store'
    ? {
        state: 'present' as const,
        storedAt: where.cloud.storedAt,
        verifiedAt: where.cloud.verifiedAt,
        verifiedBy: where.cloud.verifiedBy,
      }
    : { state: 'planned' as const }

const answerOf = (recall: ShownRecall, where: Found): RecalledFile => ({
  replicaId: recall.id,
  bucket: recall.bucket,
  key: recall.objectKey,
  sizeBytes: recall.sizeBytes,
  alreadyThere: where.kind === 'in-store',
  state: recall.state,
  requestedAt: recall.requestedAt,
  expiresAt: recall.expiresAt ?? recall.requestedAt,
})
