/** The catalogue's tables as TypeScript sees them. Times are UTC unless a column says otherwise. */

import type { ColumnType, Generated, Selectable } from 'kysely'
import type { BankStatistics } from '../extraction/metadata.ts'
import type { CameraShape } from '../midas/camera.ts'
import type { DigitizerBoard } from '../midas/digitizer.ts'
import type {
  DarkObjectsTable,
  ReplicasTable,
  SeenEventsTable,
  TapeEndpointsTable,
  TombstonesTable,
} from './replica-schema.ts'
import type { StorageSummary } from './storage-summary.ts'

/** Written as JSON text, read back parsed. */
type Json<T> = ColumnType<T, string, string>

export type Parameters = Readonly<Record<string, number | string | null>>
export interface StoredFinding {
  readonly code: string
  readonly message: string
  readonly offset: number | null
}
type Defaulted<T> = ColumnType<T, T | undefined, T>

/** The ledger: one row per object version that was heard of. */
export interface ArrivalsTable {
  id: Generated<number>
  /** SHA-256 of bucket, key and version (version id, else ETag): the row's true key, of fixed size. */
  identity: Buffer
  bucket: string
  object_key: string
  version_id: string | null
  etag: string
  size_bytes: number | null
  last_modified: Date | null
  event_name: string
  event_time: Date | null
  sequencer: string | null
  source: string
  state: ArrivalState
  outcome: ArrivalOutcome | null
  /** Why it is invalid or failed, or what the last error was. */
  reason: string | null
  attempts: Defaulted<number>
  lease_owner: string | null
  lease_until: Date | null
  received_at: Date
  /** When a message about it was last put into the queue, as far as is known. */
  announced_at: Date
  finished_at: Date | null
}

export type ArrivalState = 'received' | 'processing' | 'done' | 'invalid' | 'failed'
/** What became of a `done` or `failed` arrival. */
export type ArrivalOutcome = 'catalogued' | 'superseded' | 'gone'

/** One use of a run number: numbers repeat between tags, and are sometimes used again. */
export interface RunsTable {
  id: Generated<number>
  tag: string
  run_number: number
  /** Begin of run by the ODB, Unix seconds; 0 when unknown. Tells one use of a number from the next. */
  started_epoch: number
  /** 1 for the use of the number that the run pages and the Runlog show. */
  is_current: Defaulted<number>
  complete: Defaulted<number>
  problem: string | null
  integrity: Integrity
  file_count: Defaulted<number>
  size_bytes: Defaulted<number>
  event_count: Defaulted<number>
  first_event_at: Date | null
  last_event_at: Date | null
  started_at: Date | null
  stopped_at: Date | null
  pedestal: number | null
  description: string | null
  /** Run parameters by Runlog column. */
  parameters: Json<Parameters>
  /**
   * Where the run is: what `summarizeStorage` says of its replicas, kept in step with them so that it can be
   * searched for.
   */
  cloud: Defaulted<StorageSummary['cloud']>
  tape: Defaulted<StorageSummary['tape']>
  local: StorageSummary['local']
  catalogued_at: Date
  updated_at: Date
}

/**
 * verified: every digest the store or the uploader states agrees; unstated: none is stated; mismatch: one
 * disagrees.
 */
export type Integrity = 'verified' | 'unstated' | 'mismatch'

/** One version of one file of a run. */
export interface RunFilesTable {
  id: Generated<number>
  run_id: number
  bucket: string
  object_key: string
  version_id: string | null
  etag: string
  last_modified: Date
  subrun: number | null
  compression: string
  size_bytes: number
  uncompressed_bytes: number
  md5: string
  sha256: string
  adler32: string
  crc64nvme: string | null
  integrity: Integrity
  /** Who stated which digest, and whether it agreed. */
  digests_compared: Json<readonly DigestComparison[]>
  complete: number
  problem_code: string | null
  problem: string | null
  problem_offset: number | null
  warnings: Json<readonly StoredFinding[]>
  event_count: number
  /** Event id → data events. */
  events_by_id: Json<Readonly<Record<string, number>>>
  /** Event id → serial numbers missing; only ids that miss some. */
  serial_gaps: Json<Readonly<Record<string, number>>>
  /** Bank name → count and bytes. */
  banks: Json<Readonly<Record<string, BankStatistics>>>
  internal_events: Json<Readonly<Record<string, number>>>
  first_event_at: Date | null
  last_event_at: Date | null
  started_epoch: number
  stopped_epoch: number | null
  camera: Json<CameraShape | null>
  digitizers: Json<readonly DigitizerBoard[] | null>
  parameters: Json<Parameters>
  /** 1 while this version is what the store holds under the key, as far as is known. */
  is_live: number
  superseded_at: Date | null
  catalogued_at: Date
}

export interface DigestComparison {
  readonly by: string
  readonly algorithm: string
  readonly stated: string
  readonly agrees: boolean
}

/** What happened to a run, for people: one line an occurrence. */
export interface RunHistoryTable {
  id: Generated<number>
  run_id: number
  at: Date
  what: string
  detail: string
}

/**
 * Requests to other functions: written with the rows that cause them, sent after the commit, at least once.
 */
export interface OutboxTable {
  id: Generated<number>
  /** Deterministic: the same cause makes the same name, and a name is taken once. */
  name: string
  queue: string
  body: string
  run_id: number | null
  created_at: Date
  sent_at: Date | null
}

/** Notifications nobody could understand, kept for a human. */
export interface ParkedNotificationsTable {
  id: Generated<number>
  received_at: Date
  reason: string
  body: string
  /** SHA-256 of the body: a store that repeats the same nonsense fills one row. */
  digest: Buffer
  times: Defaulted<number>
}

/** Where a reconciliation of a prefix stands, so that it resumes after a crash. */
export interface ReconciliationsTable {
  bucket: string
  prefix: string
  start_after: string | null
  started_at: Date
  updated_at: Date
  finished_at: Date | null
  listed: number
  enqueued: number
}

export interface Schema {
  arrivals: ArrivalsTable
  runs: RunsTable
  run_files: RunFilesTable
  run_history: RunHistoryTable
  outbox: OutboxTable
  parked_notifications: ParkedNotificationsTable
  reconciliations: ReconciliationsTable
  replicas: ReplicasTable
  tombstones: TombstonesTable
  tape_endpoints: TapeEndpointsTable
  seen_events: SeenEventsTable
  dark_objects: DarkObjectsTable
}

export type Arrival = Selectable<ArrivalsTable>
export type Run = Selectable<RunsTable>
export type RunFile = Selectable<RunFilesTable>
