/**
 * The wish to have a run in the store until some day: one row a file, and a message for each that must be
 * fetched.
 */

import type { Transaction } from 'kysely'
import {
  type Content,
  contentOfFile,
  lockRun,
  lockRunOfContent,
  replicaIdentity,
  replicaRow,
  replicasOfContent,
} from '../../catalogue/replicas.ts'
import { addHistory } from '../../catalogue/runs.ts'
import type { Context } from '../../context.ts'
import { inTransaction } from '../../database/connect.ts'
import type { Replica, ReplicaState } from '../../database/replica-schema.ts'
import type { RunFile, Schema } from '../../database/schema.ts'
import { InvalidInputError } from '../../errors.ts'
import { NO_LEASE } from '../../work/lease.ts'
import { addRequests } from '../../work/outbox.ts'
import { sendRequests } from '../../work/send-requests.ts'
import { type ChosenRun, chooseRun, type RunChoice } from './choose-run.ts'
import { recallMessage } from './message.ts'
import { verifiedEtagOf } from './reference.ts'
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
  readonly state: ReplicaState
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
  const before = await findRecall(trx, content)
  const until = new Date(at.getTime() + wish.days * DAY_MS)
  const change = before === null ? null : changeOf(before, where, wish, until, at)
  if (before === null) await insertRecall(trx, content, where, wish, until, at)
  else
    await trx
      .updateTable('replicas')
      .set({ ...change, updatedAt: at })
      .where('id', '=', before.id)
      .execute()
  const recall = await findRecall(trx, content)
  if (recall === null) throw new Error('a recall vanished while its run was locked')
  const begun = recall.state === 'requested' && (before === null || change?.state === 'requested')
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

async function findRecall(trx: Trx, content: Content): Promise<Replica | null> {
  const identity = replicaIdentity('recall', '', content)
  return (
    (await trx
      .selectFrom('replicas')
      .selectAll()
      .where('identity', '=', identity)
      .forUpdate()
      .executeTakeFirst()) ?? null
  )
}

async function insertRecall(
  trx: Trx,
  content: Content,
  where: Found,
  wish: RecallWish,
  until: Date,
  at: Date,
): Promise<void> {
  const name = `${content.bucket}/${content.key}`
  const requestedBy = wish.requestedBy.slice(0, 100)
  const row = replicaRow(
    content,
    { kind: 'recall', endpoint: '', url: `s3://${name}`, name, requestedBy },
    at,
  )
  await trx
    .insertInto('replicas')
    .values({ ...row, ...stateOf(where), expiresAt: until })
    .execute()
}

type Found = Exclude<Whereabouts, { kind: 'nowhere' }>

/** What is in the store by the catalogue counts as brought back: so the cleaner leaves it alone. */
const stateOf = (where: Found) =>
  where.kind === 'in-store'
    ? {
        state: 'present' as const,
        storedAt: where.cloud.storedAt,
        verifiedAt: where.cloud.verifiedAt,
        verifiedBy: where.cloud.verifiedBy,
      }
    : { state: 'requested' as const }

/** What asking again changes: the end, and where nobody is at work on it any more the whole recall. */
function changeOf(
  before: Replica,
  where: Found,
  wish: RecallWish,
  until: Date,
  at: Date,
): Partial<Replica> & { readonly expiresAt: Date } {
  const later = before.expiresAt !== null && before.expiresAt > until ? before.expiresAt : until
  const held = before.leaseUntil !== null && before.leaseUntil > at
  const waits = isRecalling(before) && before.state !== 'failed'
  if (held || (waits && where.kind === 'on-tape')) return { expiresAt: later }
  const anew = {
    ...stateOf(where),
    expiresAt: later,
    requestedAt: at,
    requestedBy: wish.requestedBy.slice(0, 100),
    lastError: null,
    nextAttemptAt: null,
    ...NO_LEASE,
  }
  if (where.kind === 'in-store') return anew
  // A stage request that goes on is followed, and an upload that was begun and not seen to end is still to be
  // given up.
  const reference = verifiedEtagOf(before) === null ? before.reference : null
  return { ...anew, expiresAt: until, attempts: 0, generation: before.generation + 1, reference }
}

const answerOf = (recall: Replica, where: Found): RecalledFile => ({
  replicaId: recall.id,
  bucket: recall.bucket,
  key: recall.objectKey,
  sizeBytes: recall.sizeBytes,
  alreadyThere: where.kind === 'in-store',
  state: recall.state,
  requestedAt: recall.requestedAt,
  expiresAt: recall.expiresAt ?? recall.requestedAt,
})
