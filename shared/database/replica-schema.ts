/** Types of the tables of copies. Times are UTC. */
import type { ColumnType, Generated, Selectable } from 'kysely'

type Defaulted<T> = ColumnType<T, T | undefined, T>
type Optional<T> = ColumnType<T | null, T | null | undefined, T | null>

/** Where a copy is: on the DAQ's disk, in the store, on tape. */
export type ReplicaKind = 'local' | 'cloud' | 'tape'

/**
 * The facts of a copy. planned: not there yet. staged: its checksum was compared, but it is only on the
 * endpoint's disk buffer. on-media: verified on tape. present: verified on disk. missing: not where it was.
 * suspicious: there, with other bytes or unreadable; only a person can decide more. replaced: its place now
 * holds other contents. deleting, deleted: by Cygnet, with a tombstone.
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
 * The state of a copy or a recall for readers, combined with the work on it. requested: not begun. copying: a
 * function copies it. submitted: a service (FTS, Rucio) copies it. staging: being brought from the medium
 * (recall). failed: an attempt failed; tried again at `next_attempt_at` unless that is null. expired: a
 * recall that is over.
 */
export type CopyState =
  | ReplicaState
  | 'requested'
  | 'copying'
  | 'submitted'
  | 'staging'
  | 'failed'
  | 'expired'

/**
 * What something known of a copy rests on, weakest first (catalogue/evidence.ts, ADR 17). inference: concluded
 * from other facts. statement: the word of another program, a machine or a service. existence: a HEAD, a listing
 * or a partial read. stored-checksum: a checksum of the whole content that the place itself states. read: all
 * bytes, read now and compared.
 */
export type Evidence = 'inference' | 'statement' | 'existence' | 'stored-checksum' | 'read'

/** One copy of the contents of one object of a run. */
export interface ReplicasTable {
  id: Generated<number>
  /** SHA-256 of kind, endpoint, object and contents: see `replicaIdentity`. */
  identity: Buffer
  runId: number
  tag: string
  runNumber: number
  /** The object that has or had these contents. */
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
  /**
   * Read with the type of readers, because the lists of states (catalogue/replica-states.ts) have that type.
   */
  state: ColumnType<CopyState, ReplicaState, ReplicaState>
  /** Live requests are done before the backlog. */
  priority: Defaulted<'live' | 'backlog'>
  requestedAt: Date
  requestedBy: string
  startedAt: Optional<Date>
  /** When the bytes were first there. */
  storedAt: Optional<Date>
  /** When its checksum was last compared and agreed. */
  verifiedAt: Optional<Date>
  verifiedBy: Optional<string>
  /** What the verification rests on. */
  verifiedEvidence: Optional<Evidence>
  /** The strongest evidence that has contradicted the copy since it was verified; null if none has. */
  doubtedEvidence: Optional<Evidence>
  /** When it was last checked, whatever the result. */
  checkedAt: Optional<Date>
  deletedAt: Optional<Date>
  updatedAt: Date
  /** Consecutive failed deletions. */
  attempts: Defaulted<number>
  nextAttemptAt: Optional<Date>
  lastError: Optional<string>
  leaseOwner: Optional<string>
  leaseUntil: Optional<Date>
}

/**
 * planned: requested, not in the store yet; its task has the state of the work. present: in the store, and
 * kept there until `expires_at`. expired: that time is over, and the cleaner's rules apply again.
 */
export type RecallState = 'planned' | 'present' | 'expired'

/**
 * The recall of the contents of one object: a request to have them in the store until a date. Where they are
 * is stated by the replicas.
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
  /** When it was last begun. */
  requestedAt: Date
  requestedBy: string
  /** Counts how often it was begun. */
  generation: Defaulted<number>
  /** Preliminary until the object is in the store; then counted from that moment. */
  expiresAt: Date
  /** When the verified object was stored. */
  storedAt: Optional<Date>
  verifiedAt: Optional<Date>
  verifiedBy: Optional<string>
  verifiedEvidence: Optional<Evidence>
  checkedAt: Optional<Date>
  /** Of the verified object; null if it was in the store all the time. */
  etag: Optional<string>
  updatedAt: Date
}

/** A copy as readers see it: its facts, and the state of the work on it. */
export interface CopiesTable extends ReplicasTable {
  /** Of a recall: until when the object is kept in the store. */
  expiresAt: Date | null
  /** Reference of the external work: a job, a rule, a stage request. */
  reference: string | null
  generation: number
}

/** A recall as readers see it. States: requested, staging, copying, failed, present, expired. */
export interface ShownRecallsTable extends Omit<CopiesTable, 'kind'> {
  kind: 'recall'
  etag: string | null
}

/**
 * A deletion, recorded before it is done. `withdrawn`: it was not done, and the copy is still there.
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
  /** The copy that was verified in the same call. */
  survivorId: number
  survivorUrl: string
  survivorVerifiedBy: string
  survivorVerifiedAt: Date
  survivorEvidence: Optional<Evidence>
  writtenBy: string
  writtenAt: Date
  state: 'intended' | 'deleted' | 'withdrawn'
  endedAt: Optional<Date>
  /** What its end rests on; null while it is open, and when the deletion was not done. */
  endEvidence: Optional<Evidence>
  note: Optional<string>
}

/** Single events of the buffer that were checked. */
export interface SeenEventsTable {
  bucket: string
  objectKey: string
  etag: string
  seenAt: Date
}

/** Files at an endpoint that the catalogue does not know. */
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
/** The copies of a file and its recall, as readers see them. */
export type ShownCopy = Copy | ShownRecall
export type CopyKind = ShownCopy['kind']
export type Tombstone = Selectable<TombstonesTable>
