/** The tables of copies as TypeScript sees them. Times are UTC. */
import type { ColumnType, Generated, Selectable } from 'kysely'

type Defaulted<T> = ColumnType<T, T | undefined, T>
type Optional<T> = ColumnType<T | null, T | null | undefined, T | null>

/** Where a copy is: on the DAQ's disk, in the store, on tape. */
export type ReplicaKind = 'local' | 'cloud' | 'tape'

/**
 * What is known of a copy. planned: not there yet. staged: its checksum was compared, but it is on the endpoint's
 * disk buffer only. on-media: verified on tape. present: verified on disk. missing: not where it was.
 * suspicious: there, with other bytes or unreadable; never more than that is said by a program. replaced: its
 * place holds other contents by now. deleting, deleted: by us, with a tombstone.
 */
export type ReplicaState =
  | 'planned'
  | 'staged'
  | 'on-media'
  | 'present'
  | 'missing'
  | 'suspicious'
  | 'replaced'
  | 'deleting'
  | 'deleted'

/**
 * As readers see a copy or a recall, with the work on it. requested: to be made. copying: a function does it.
 * submitted: a service (FTS, Rucio) does it. staging: being brought from the medium (recall). failed: an attempt
 * failed; tried again at `next_attempt_at`, unless that is null. expired: a recall whose time is over.
 */
export type CopyState =
  | ReplicaState
  | 'requested'
  | 'copying'
  | 'submitted'
  | 'staging'
  | 'failed'
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
  /** Read as of a copy: lists of states are those of readers. */
  state: ColumnType<CopyState, ReplicaState, ReplicaState>
  /** Of the request: a live one is done before the backlog. */
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
  deletedAt: Optional<Date>
  updatedAt: Date
  /** Of deletions, in a row. */
  attempts: Defaulted<number>
  nextAttemptAt: Optional<Date>
  lastError: Optional<string>
  leaseOwner: Optional<string>
  leaseUntil: Optional<Date>
}

/**
 * planned: requested, not in the store yet; its task says how the work stands. present: in the store, and to
 * be kept there until `expires_at`. expired: that time is over, and the cleaner's rules apply again.
 */
export type RecallState = 'planned' | 'present' | 'expired'

/**
 * The recall of the contents of one object: they are to be in the store until some time. Where they are is in
 * the replicas.
 */
export interface RecallsTable {
  id: Generated<number>
  /** SHA-256 of object and contents: see `recallIdentity`. */
  identity: Buffer
  runId: number
  tag: string
  runNumber: number
  bucket: string
  objectKey: string
  sizeBytes: number
  md5: string
  adler32: string
  sha256: string
  state: RecallState
  /** The last time that it was begun. */
  requestedAt: Date
  requestedBy: string
  /** Counts how often it was begun. */
  generation: Defaulted<number>
  /** Preliminary until it is there: then counted from that moment. */
  expiresAt: Date
  /** When the object was stored that was verified. */
  storedAt: Optional<Date>
  verifiedAt: Optional<Date>
  verifiedBy: Optional<string>
  checkedAt: Optional<Date>
  /** Of the object that was verified; null where it was in the store all the time. */
  etag: Optional<string>
  updatedAt: Date
}

/** A copy as readers see it: what is known of it, and how the work on it stands. */
export interface CopiesTable extends ReplicasTable {
  /** Recall: until when it stays. */
  expiresAt: Date | null
  /** Of the work outside: a job, a rule, a stage request. */
  reference: string | null
  generation: number
}

/** Its state is one of requested, staging, copying, failed, present, expired. */
export interface ShownRecallsTable extends Omit<CopiesTable, 'kind'> {
  kind: 'recall'
  etag: string | null
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
export type Copy = Selectable<CopiesTable>
export type Recall = Selectable<RecallsTable>
export type ShownRecall = Selectable<ShownRecallsTable>
/** What readers see of a file's places: its copies, and its recall. */
export type ShownCopy = Copy | ShownRecall
export type CopyKind = ShownCopy['kind']
export type Tombstone = Selectable<TombstonesTable>
