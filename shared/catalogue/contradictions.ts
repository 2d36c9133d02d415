/**
 * An object version that was catalogued and, read again, gives other bytes: which of the readings counts, and
 * what a contradiction changes (ADR 18).
 */
import type { Transaction } from 'kysely'
import type { Executor } from '../database/connect.ts'
import type { RunFile, Schema } from '../database/schema.ts'
import { type ObjectVersion, parseRunKey } from '../run.ts'
import { addRequests, type Request } from '../work/outbox.ts'
import { resolveRaised } from '../work/raised-alerts.ts'
import { type ArrivalLease, endAttempt } from './arrivals.ts'
import { comparesContent } from './evidence.ts'
import { otherCopies } from './other-copies.ts'
import { badCopyAlert } from './replica-alerts.ts'
import { contentOfFile, recordCloudFinding, replicasOfContent } from './replicas.ts'
import { endedByReading } from './run-alerts.ts'
import { lockRunOfFile } from './run-generations.ts'
import { addHistory, findLiveFile, refreshRun, supersedeFile } from './runs.ts'

type Trx = Transaction<Schema>

/** Stands for an earlier reading among what is compared with the bytes. */
export const EARLIER_READING = 'earlier reading'

export interface EarlierReadings {
  /** The newest of the same key and ETag that nothing contradicted when it was catalogued. */
  readonly undisputed: RunFile | null
  /** SHA-256 of the newest, if it contradicted an earlier one. */
  readonly disputedSha256: string | null
}

/**
 * The readings of the same version. A store gives another ETag to other contents, so two readings that differ
 * contradict each other.
 */
export async function findEarlierReadings(
  executor: Executor,
  version: ObjectVersion,
): Promise<EarlierReadings> {
  const readings = executor
    .selectFrom('runFiles')
    .selectAll()
    .where('bucket', '=', version.bucket)
    .where('objectKey', '=', version.key)
    .where('etag', '=', version.etag)
    .orderBy('id', 'desc')
    .limit(1)
  const newest = await readings.executeTakeFirst()
  if (newest?.integrity !== 'mismatch') return { undisputed: newest ?? null, disputedSha256: null }
  const undisputed = await readings.where('integrity', '!=', 'mismatch').executeTakeFirst()
  const isDisputed = newest.digestsCompared.some(({ by }) => by === EARLIER_READING)
  return { undisputed: undisputed ?? null, disputedSha256: isDisputed ? newest.sha256 : null }
}

/**
 * Whether anything but this one reading supports the contents: a stated checksum, another reading, or a copy
 * at another place.
 */
export async function isConfirmed(executor: Executor, file: RunFile): Promise<boolean> {
  if (file.integrity === 'verified') return true
  const { bucket, objectKey: key, sha256, etag, cataloguedAt } = file
  const copies = await replicasOfContent(executor, { bucket, key, sha256 })
  const isAgreement = ({ kind, verifiedAt, verifiedEvidence }: (typeof copies)[number]) =>
    verifiedAt !== null &&
    (kind === 'local' ||
      (comparesContent(verifiedEvidence) && (kind === 'tape' || verifiedAt > cataloguedAt)))
  if (copies.some(isAgreement)) return true
  const { readings } = await executor
    .selectFrom('runFiles')
    .select((of) => of.fn.countAll<number>().as('readings'))
    .where('bucket', '=', bucket)
    .where('objectKey', '=', key)
    .where('etag', '=', etag)
    .where('sha256', '=', sha256)
    .executeTakeFirstOrThrow()
  return Number(readings) > 1
}

/**
 * The object no longer has the bytes that were catalogued of it: no file changes, its copy in the store is
 * suspicious, with the alert of a bad copy, and the arrival ends. Other contents that were catalogued in their
 * place before no longer count.
 * @param trx holds the lock of the object. @returns the alert, written with it.
 */
export async function recordContradiction(
  trx: Trx,
  found: { readonly lease: ArrivalLease; readonly version: ObjectVersion; readonly reason: string },
  catalogued: RunFile,
  at: Date,
): Promise<readonly Request[]> {
  const { lease, version, reason } = found
  const run = await lockRunOfFile(trx, catalogued, at)
  const live = await findLiveFile(trx, version, true)
  const removed = live?.id === catalogued.id ? null : live
  if (removed !== null) await supersedeFile(trx, removed.id, at)
  await trx
    .updateTable('runFiles')
    .set({ isLive: true, supersededAt: null })
    .where('id', '=', catalogued.id)
    .execute()
  const finding = { result: 'differs', evidence: 'read', reason } as const
  const content = contentOfFile(catalogued, run)
  const copy = await recordCloudFinding(trx, content, finding, version.lastModified ?? at, at)
  await refreshRun(trx, run, { at, removed })
  if (removed !== null && removed.runId !== catalogued.runId)
    await refreshRun(trx, await lockRunOfFile(trx, removed, at), { at })
  const detail = `${copy.url}: ${reason}`
  await addHistory(trx, [{ runId: catalogued.runId, what: 'copy suspicious', detail }], at)
  const alert = badCopyAlert(copy, { kind: 'suspicious', reason }, await otherCopies(trx, copy))
  await addRequests(trx, [alert], at)
  const ended = endedByReading(version, parseRunKey(version.key) ?? run, `${version.key} was read`)
  const over = lease.isNew ? [] : await resolveRaised(trx, ended, at)
  await endAttempt(trx, lease, { state: 'done', outcome: 'suspicious', reason })
  return [...over, alert]
}
