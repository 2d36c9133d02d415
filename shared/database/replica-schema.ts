/** The tables of copies as TypeScript sees them. Times are UTC. */
import type { ColumnType, Generated, Selectable } from 'kysely'

type Defaulted<T> = ColumnType<T, T | undefined, T>
type Optional<T> = ColumnType<T | null, T | null | undefined, T | null>

/** Where a copy is: on the DAQ's disk, in the store, on tape, or in the store again for a while. */
export type ReplicaKind = 'local' | 'cloud' | 'tape' | 'recall'

/**
 * planned: not there yet, its task says how the work stands (readers see both in the view `copies`). requested: to be
 * made. copying: a function is at it (lease). submitted: a service (FTS, Rucio) is at it.
 * staged: its checksum was compared, but it is on the endpoint's disk buffer only. staging: being brought
 * from the medium (recall). on-media: verified on tape. present: verified on disk. failed: tried in vain;
 * tried again at `next_attempt_at`, unless that is null. missing: not where it was. suspicious: there, with
 * other bytes or unreadable; never more than that is said by a program. replaced: its place holds other
 * contents by now. deleting, deleted: by us, with a tombstone. expired: a recall whose time is over.
 */
export type ReplicaState =
  | 'planned'
  | 'requested'
  | 'copying'
  | 'submitted'
  | 'staged'
  | 'staging'
  | 'on-media'
  | 'present'
  | 'failed'
  | 'missing'
  | 'suspicious'
  | 'replaced'
  | 'deleting'
  | 'deleted'
  | 'expired'

/** One copy of the contents of one object of a run. */
export interface ReplicasTable {
  id: Generated<number>
  /** SHA-256 of kind, endpoint, object and contents: see `replicaIdentity`. */
  identity: Buffer
  runId: number
  tag: string
  runNumber: number
  /** The object whose contents these are. */
  bucket: string
  objectKey: string
  kind: ReplicaKind
  endpoint: string
  /** Without credentials. */
  url: string
  /** Below the endpoint's root. */
  name: string
  sizeBytes: number
  md5: string
  adler32: string
  sha256: string
  state: ReplicaState
  priority: Defaulted<'live' | 'backlog'>
  requestedAt: Date
  requestedBy: string
  startedAt: Optional<Date>
  /** When the bytes were first there. */
  storedAt: Optional<Date>
  /** When its checksum was last compared and agreed. */
  verifiedAt: Optional<Date>
  verifiedBy: Optional<string>
  /** When it was last looked at, whatever was seen. */
  checkedAt: Optional<Date>
  /** Recall: until when it stays. */
  expiresAt: Optional<Date>
  deletedAt: Optional<Date>
  updatedAt: Date
  /** Job or rule at a service. */
  reference: Optional<string>
  /** Counts the jobs asked of a service; a new one is asked only after the one before ended in vain. */
  generation: Defaulted<number>
  attempts: Defaulted<number>
  nextAttemptAt: Optional<Date>
  lastError: Optional<string>
  leaseOwner: Optional<string>
  leaseUntil: Optional<Date>
}

/**
 * A deletion, written before it is done. `withdrawn`: it was not done after all, and the copy is still there.
 */
export interface TombstonesTable {
  id: Generated<number>
  replicaId: number
  runId: number
  bucket: string
  objectKey: string
  url: string
  etag: Optional<string>
  versionId: Optional<string>
  sizeBytes: number
  sha256: string
  reason: string
  /** The copy that was verified in the call that deleted. */
  survivorId: number
  survivorUrl: string
  survivorVerifiedBy: string
  survivorVerifiedAt: Date
  writtenBy: string
  writtenAt: Date
  state: 'intended' | 'deleted' | 'withdrawn'
  endedAt: Optional<Date>
  note: Optional<string>
}

/** Single events of the buffer that were looked at. */
export interface SeenEventsTable {
  bucket: string
  objectKey: string
  etag: string
  seenAt: Date
}

/** What is at an endpoint and unknown to the catalogue. */
export interface DarkObjectsTable {
  identity: Buffer
  endpoint: string
  name: string
  sizeBytes: number
  firstSeenAt: Date
  lastSeenAt: Date
  resolvedAt: Optional<Date>
}

export type Replica = Selectable<ReplicasTable>
export type Tombstone = Selectable<TombstonesTable>
