/**
 * Replicas: rows that state where a copy of which contents is. Claims and their outcomes: replica-work.ts.
 */

import { createHash } from 'node:crypto'
import type { Transaction } from 'kysely'
import { type Database, type Executor, inTransaction } from '../database/connect.ts'
import type { Copy, Replica, ReplicaKind } from '../database/replica-schema.ts'
import type { CataloguedRun, Integrity, RunFile, Schema } from '../database/schema.ts'
import { type StorageSummary, summarizeStorage } from '../database/storage-summary.ts'
import type { ObjectName, RunId } from '../run.ts'
import { storeBreaker, tapeBreaker } from '../work/breaker.ts'
import { NO_LEASE } from '../work/lease.ts'
import { addTask, type NewTask } from '../work/tasks.ts'
import { type Finding, weigh, weighNew } from './evidence.ts'
import { type ProblemKind, problemsOfCopies, withProblemsOfCopies } from './open-problems.ts'
import { IN_WORK_ON_TAPE, LEFT_STORE } from './replica-states.ts'
import { writeRunlogStorage } from './runlog.ts'

type Trx = Transaction<Schema>

/** The contents that an object of a run has or had, of which a replica is a copy. */
export interface Content extends ObjectName {
  readonly run: CataloguedRun
  readonly sizeBytes: number
  readonly md5: string
  readonly adler32: string
  readonly sha256: string
}

/**
 * The unique key of the row of a copy or a recall, SHA-256 of kind, endpoint, object and contents. The endpoint
 * of the store is empty, because its address may change. `variant` distinguishes a second copy at the same
 * endpoint from the first.
 */
export function replicaIdentity(
  kind: ReplicaKind | 'recall',
  endpoint: string,
  content: ObjectName & { readonly sha256: string },
  variant = '',
): Buffer {
  const parts = [
    kind,
    endpoint,
    content.bucket,
    content.key,
    content.sha256,
    ...(variant === '' ? [] : [variant]),
  ]
  return createHash('sha256').update(parts.join('\0')).digest()
}

type ContentColumns = Pick<
  Replica,
  'runId' | 'runNumber' | 'tag' | 'bucket' | 'objectKey' | 'sizeBytes' | 'md5' | 'adler32' | 'sha256'
>

/** The contents of a copy or of a recall. */
export const contentOf = (replica: ContentColumns): Content => ({
  run: { id: replica.runId, tag: replica.tag, runNumber: replica.runNumber },
  bucket: replica.bucket,
  key: replica.objectKey,
  sizeBytes: replica.sizeBytes,
  md5: replica.md5,
  adler32: replica.adler32,
  sha256: replica.sha256,
})

export function contentOfFile(file: RunFile, run: RunId): Content {
  return {
    run: { id: file.runId, tag: run.tag, runNumber: run.runNumber },
    bucket: file.bucket,
    key: file.objectKey,
    sizeBytes: file.sizeBytes,
    md5: file.md5,
    adler32: file.adler32,
    sha256: file.sha256,
  }
}

export interface NewReplica {
  readonly kind: ReplicaKind
  readonly endpoint: string
  readonly url: string
  readonly name: string
  readonly variant?: string
  readonly priority?: 'live' | 'backlog'
  readonly requestedBy: string
}

/** The columns of a new row, without its state. */
export function replicaRow(content: Content, replica: NewReplica, at: Date) {
  return {
    identity: replicaIdentity(replica.kind, replica.endpoint, content, replica.variant),
    runId: content.run.id,
    tag: content.run.tag,
    runNumber: content.run.runNumber,
    bucket: content.bucket,
    objectKey: content.key,
    kind: replica.kind,
    endpoint: replica.endpoint,
    url: replica.url,
    name: replica.name,
    sizeBytes: content.sizeBytes,
    md5: content.md5,
    adler32: content.adler32,
    sha256: content.sha256,
    priority: replica.priority ?? ('live' as const),
    requestedAt: at,
    requestedBy: replica.requestedBy,
    updatedAt: at,
  }
}

/**
 * Records that the store holds these contents: they were just read completely. The copy is suspicious if a
 * stated digest disagrees. Other contents that were under the key are no longer there.
 */
export async function recordCloudReplica(
  trx: Trx,
  content: Content,
  seen: { readonly integrity: Integrity; readonly storedAt: Date; readonly comparedWith: readonly string[] },
  at: Date,
): Promise<void> {
  const by =
    seen.comparedWith.length === 0
      ? 'read whole, nothing stated'
      : `read whole, agrees with ${seen.comparedWith.join(', ')}`
  const finding =
    seen.integrity === 'mismatch'
      ? ({ result: 'differs', evidence: 'read', reason: 'a stated checksum disagrees' } as const)
      : ({ result: 'agrees', evidence: 'read', by, onMedia: true } as const)
  await recordCloudFinding(trx, content, finding, seen.storedAt, at)
}

/** The same for what reading the object found about these contents. @returns the row of the copy. */
export async function recordCloudFinding(
  trx: Trx,
  content: Content,
  finding: Finding,
  storedAt: Date,
  at: Date,
): Promise<Copy> {
  await replaceCloudReplicas(trx, content, content.sha256, at)
  const found = {
    // Read completely just now: whatever the row had before no longer counts.
    ...weighNew('cloud', finding, at),
    runId: content.run.id,
    tag: content.run.tag,
    runNumber: content.run.runNumber,
    storedAt,
    deletedAt: null,
    updatedAt: at,
  }
  const row = cloudRow(content, at)
  await trx
    .insertInto('replicas')
    .values({ ...row, startedAt: storedAt, ...found })
    .onDuplicateKeyUpdate(found)
    .execute()
  await assignCopiesToRun(trx, content)
  return await trx
    .selectFrom('copies')
    .selectAll()
    .where('identity', '=', row.identity)
    .executeTakeFirstOrThrow()
}

function cloudRow(content: Content, at: Date) {
  const name = `${content.bucket}/${content.key}`
  return replicaRow(
    content,
    { kind: 'cloud', endpoint: '', url: `s3://${name}`, name, requestedBy: 'arrival' },
    at,
  )
}

/** Whether these contents were ever recorded in the store under this key. */
export async function hasCloudReplica(trx: Trx, content: Content): Promise<boolean> {
  const identity = replicaIdentity('cloud', '', content)
  return (
    (await trx.selectFrom('replicas').select('id').where('identity', '=', identity).executeTakeFirst()) !==
    undefined
  )
}

/**
 * The contents were read, and are no longer in the store. A row that a deletion works on, or that states where
 * they went, is left to it. Either way the copy was checked now, so that an earlier recall no longer counts as
 * newer.
 */
export async function recordAbsentReplica(trx: Trx, content: Content, at: Date): Promise<void> {
  const absent = {
    result: 'absent',
    evidence: 'existence',
    reason: 'deleted while it was being read',
  } as const
  const row = cloudRow(content, at)
  const before = await trx
    .selectFrom('replicas')
    .select(['kind', 'state', 'verifiedEvidence', 'doubtedEvidence'])
    .where('identity', '=', row.identity)
    .forUpdate()
    .executeTakeFirst()
  const isLeft = before === undefined || before.state === 'deleting'
  await trx
    .insertInto('replicas')
    .values({ ...row, ...weighNew('cloud', absent, at) })
    .onDuplicateKeyUpdate(isLeft ? { checkedAt: at } : weigh(before, absent, at))
    .execute()
  await assignCopiesToRun(trx, content)
}

/**
 * Assigns all copies of contents, and their recall, to the run that the contents belong to now, which is
 * locked.
 */
async function assignCopiesToRun(trx: Trx, { run, ...content }: Content): Promise<void> {
  await trx
    .updateTable('recalls')
    .set({ runId: run.id })
    .where('bucket', '=', content.bucket)
    .where('objectKey', '=', content.key)
    .where('sha256', '=', content.sha256)
    .where('runId', '!=', run.id)
    .execute()
  const copies = await replicasOfContent(trx, content)
  const elsewhere = new Set(copies.map((copy) => copy.runId).filter((id) => id !== run.id))
  if (elsewhere.size === 0) return
  const ids = copies.map((copy) => copy.id)
  await trx.updateTable('replicas').set({ runId: run.id }).where('id', 'in', ids).execute()
  for (const former of elsewhere) await refreshStorage(trx, former)
}

/** The key holds other contents than these replicas, or nothing readable (`sha256` null). */
export async function replaceCloudReplicas(
  trx: Trx,
  object: ObjectName,
  sha256: string | null,
  at: Date,
): Promise<void> {
  await trx
    .updateTable('replicas')
    .set({ state: 'replaced', ...NO_LEASE, updatedAt: at })
    .where('bucket', '=', object.bucket)
    .where('objectKey', '=', object.key)
    .where('kind', '=', 'cloud')
    .where('state', 'not in', LEFT_STORE)
    .$if(sha256 !== null, (query) => query.where('sha256', '!=', sha256 as string))
    .execute()
}

export const TAPE_COPY = 'tape-copy'

/** The task that makes a copy on tape. */
export const tapeCopyTask = (
  replica: Pick<Replica, 'id' | 'runId' | 'bucket' | 'endpoint' | 'priority' | 'requestedBy'>,
): NewTask => ({
  kind: TAPE_COPY,
  subjectId: replica.id,
  runId: replica.runId,
  dependency: tapeBreaker(replica.endpoint),
  needs: storeBreaker(replica.bucket),
  priority: replica.priority,
  requestedBy: replica.requestedBy,
})

/**
 * Requests a copy on tape: adds its row and the task that makes it. If it was already requested, nothing
 * changes but that a live request gives it live priority.
 */
export async function requestTapeReplica(
  database: Database,
  wanted: Content,
  replica: Omit<NewReplica, 'kind'>,
  at: Date,
): Promise<Copy> {
  return await inTransaction(database, async (trx) => {
    const content = await lockRunOfContent(trx, wanted)
    const row = replicaRow(content, { ...replica, kind: 'tape' }, at)
    await trx
      .insertInto('replicas')
      .ignore()
      .values({ ...row, state: 'planned' })
      .execute()
    const { id, state } = await trx
      .selectFrom('replicas')
      .select(['id', 'state'])
      .where('identity', '=', row.identity)
      .executeTakeFirstOrThrow()
    const runId = content.run.id
    if (IN_WORK_ON_TAPE.includes(state)) await addTask(trx, tapeCopyTask({ ...row, id }), at)
    await refreshStorage(trx, runId)
    return await trx.selectFrom('copies').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  })
}

/** Lock order: the run before its replicas, as in the transaction that catalogues a file. */
export const lockRun = (trx: Trx, runId: number) =>
  trx.selectFrom('runs').select('id').where('id', '=', runId).forUpdate().execute()

/**
 * Locks the run that a copy belongs to now; it may have changed since the copy was claimed. @returns its id.
 */
export const lockRunOfReplica = (trx: Trx, replica: Pick<Replica, 'id' | 'runId'>): Promise<number> =>
  lockRunNow(trx, replica.runId, trx.selectFrom('replicas').select('runId').where('id', '=', replica.id))

/**
 * Locks the run that contents belong to now, whether the store holds them or not. @returns the contents with
 * that run.
 */
export async function lockRunOfContent(trx: Trx, content: Content): Promise<Content> {
  const { bucket, key, sha256, run } = content
  const id = await lockRunNow(
    trx,
    run.id,
    trx
      .selectFrom('runFiles')
      .select('runId')
      .where('bucket', '=', bucket)
      .where('objectKey', '=', key)
      .where('sha256', '=', sha256)
      .orderBy('isLive', 'desc')
      .orderBy('id', 'desc')
      .limit(1),
  )
  return { ...content, run: { ...run, id } }
}

/**
 * Contents that are dropped again may be assigned to another generation of their run number, also while this
 * waits for the lock.
 */
async function lockRunNow(
  trx: Trx,
  runId: number,
  query: { executeTakeFirst(): Promise<{ readonly runId: number } | undefined> },
): Promise<number> {
  await lockRun(trx, runId)
  const now = (await query.executeTakeFirst())?.runId ?? runId
  return now === runId ? runId : await lockRunNow(trx, now, query)
}

export const findReplica = async (executor: Executor, id: number): Promise<Copy | null> =>
  (await executor.selectFrom('copies').selectAll().where('id', '=', id).executeTakeFirst()) ?? null

/** All replicas of a run. */
export const replicasOfRun = (executor: Executor, runId: number): Promise<readonly Copy[]> =>
  executor.selectFrom('copies').selectAll().where('runId', '=', runId).orderBy('id').execute()

/** All replicas of the same contents of an object. */
export const replicasOfContent = (
  executor: Executor,
  content: ObjectName & { readonly sha256: string },
): Promise<readonly Copy[]> =>
  executor
    .selectFrom('copies')
    .selectAll()
    .where('bucket', '=', content.bucket)
    .where('objectKey', '=', content.key)
    .where('sha256', '=', content.sha256)
    .orderBy('id')
    .execute()

/** Most values in one condition. */
export const AT_ONCE = 500

type Contents = ObjectName & { readonly sha256: string }

/** The same for many contents, read with few queries. */
export async function replicasOfContents(
  executor: Executor,
  contents: readonly Contents[],
): Promise<(content: Contents) => readonly Copy[]> {
  const nameOf = (bucket: string, key: string, sha256: string) => `${sha256} ${bucket}/${key}`
  const found: Copy[] = []
  for (const [bucket, own] of Map.groupBy(contents, (content) => content.bucket))
    for (let at = 0; at < own.length; at += AT_ONCE) {
      const keys = own.slice(at, at + AT_ONCE).map(({ key }) => key)
      const query = executor.selectFrom('copies').selectAll().where('bucket', '=', bucket)
      found.push(...(await query.where('objectKey', 'in', keys).orderBy('id').execute()))
    }
  const byContent = Map.groupBy(found, (copy) => nameOf(copy.bucket, copy.objectKey, copy.sha256))
  return ({ bucket, key, sha256 }) => byContent.get(nameOf(bucket, key, sha256)) ?? []
}

/** Where a run is, and what is wrong with its copies, from the replicas of the contents that count for it. */
export async function storageOfRun(
  executor: Executor,
  runId: number,
  files: readonly Pick<RunFile, 'bucket' | 'objectKey' | 'sha256'>[],
): Promise<{ readonly storage: StorageSummary; readonly problems: readonly ProblemKind[] }> {
  const replicas = await replicasOfRun(executor, runId)
  return {
    storage: summarizeStorage(files, replicas),
    problems: problemsOfCopies(files.flatMap((file) => copiesOfFile(file, replicas))),
  }
}

/** Updates the columns about copies in the run's row and in the legacy Runlog after a copy changed. */
export async function refreshStorage(trx: Trx, runId: number): Promise<void> {
  const run = await trx
    .selectFrom('runs')
    .select(['tag', 'runNumber', 'isCurrent', 'parameters', 'problems'])
    .where('id', '=', runId)
    .forUpdate()
    .executeTakeFirst()
  if (run === undefined) return
  const files = await trx
    .selectFrom('runFiles')
    .select(['bucket', 'objectKey', 'sha256'])
    .where('runId', '=', runId)
    .where('isLive', '=', true)
    .where('counts', '=', true)
    .execute()
  const { storage, problems } = await storageOfRun(trx, runId, files)
  await trx
    .updateTable('runs')
    .set({ ...storage, ...withProblemsOfCopies(run, problems) })
    .where('id', '=', runId)
    .execute()
  // The Runlog shows only the current generation of a number.
  if (run.isCurrent)
    await writeRunlogStorage(trx, {
      tag: run.tag,
      runNumber: run.runNumber,
      parameters: run.parameters,
      storage,
    })
}

/** Selects the copies (or recalls) of the contents of a file from those of its run. */
export const copiesOfFile = <Copy extends Pick<Replica, 'bucket' | 'objectKey' | 'sha256'>>(
  file: Pick<RunFile, 'bucket' | 'objectKey' | 'sha256'>,
  replicas: readonly Copy[],
): readonly Copy[] =>
  replicas.filter(
    (replica) =>
      replica.bucket === file.bucket &&
      replica.objectKey === file.objectKey &&
      replica.sha256 === file.sha256,
  )
