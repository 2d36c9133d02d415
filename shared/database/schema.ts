/** Types of the catalogue's tables. Times are UTC unless a column states otherwise. */
import type { ColumnType, Generated, Selectable } from 'kysely'
import type { BankStatistics } from '../extraction/metadata.ts'
import type { Camera } from '../midas/camera.ts'
import type { DigitizerBoard } from '../midas/digitizer.ts'
import type { RunId } from '../run.ts'
import type {
  AlertChannelsTable,
  AlertFoldingTable,
  AlertPostsTable,
  AlertsTable,
  SilencesTable,
} from './alert-schema.ts'
import type {
  CopiesTable,
  DarkObjectsTable,
  RecallsTable,
  ReplicasTable,
  SeenEventsTable,
  ShownRecallsTable,
  TombstonesTable,
} from './replica-schema.ts'
import type { StorageSummary } from './storage-summary.ts'
import type { BreakersTable, TasksTable } from './work-schema.ts'

/** Written as JSON text, read back parsed. */
type Json<T> = ColumnType<T, string, string>

type OptionalJson<T> = ColumnType<T | null, string | null | undefined, string | null>

/** A parameter that a person corrected. */
export interface Correction {
  readonly value: number | string
  readonly by: string
  /** ISO 8601, UTC. */
  readonly at: string
}

export type Parameters = Readonly<Record<string, number | string | null>>
export interface StoredFinding {
  readonly code: string
  readonly message: string
  readonly offset: number | null
}
type Defaulted<T> = ColumnType<T, T | undefined, T>

/** The ledger: one row per object version that was notified or listed. */
export interface ArrivalsTable {
  id: Generated<number>
  /** SHA-256 of bucket, key and version (version id, else ETag): the row's true key, of fixed size. */
  identity: Buffer
  bucket: string
  objectKey: string
  versionId: string | null
  etag: string
  sizeBytes: number | null
  lastModified: Date | null
  eventName: string
  eventTime: Date | null
  sequencer: string | null
  source: string
  state: ArrivalState
  outcome: ArrivalOutcome | null
  /** Why it is invalid or failed, or the last error. */
  reason: string | null
  /** Includes the one in progress; excludes those stopped from outside or failed because of the store. */
  attempts: Defaulted<number>
  /** How often the attempts were counted from the start again. */
  restarts: Defaulted<number>
  /** How many functions died while they read it, since it was last finished. */
  deaths: Defaulted<number>
  /** From then on it is found due, unless it is held under a lease; null: by itself it is not tried again. */
  nextAttemptAt: ColumnType<Date | null, Date | null | undefined, Date | null>
  leaseOwner: string | null
  leaseUntil: Date | null
  receivedAt: Date
  /** When a message about it was last put into the queue, as far as is known. */
  announcedAt: Date
  finishedAt: Date | null
  /** Of an invalid arrival: the run that the name of the object states or resembles. */
  namedTag: ColumnType<string | null, string | null | undefined, string | null>
  namedRun: ColumnType<number | null, number | null | undefined, number | null>
  /** Older than the take-over time of its tag: processed after all others, without alerts. */
  isHistory: Defaulted<boolean>
}

export type ArrivalState = 'received' | 'processing' | 'done' | 'invalid' | 'failed'
/** The outcome of a `done` or `failed` arrival; `gone`: the object is no longer in the store. */
/** `suspicious`: its bytes are not those that were catalogued of this version, which still count. */
export type ArrivalOutcome = 'catalogued' | 'superseded' | 'gone' | 'suspicious'

/** One generation of a run number: numbers repeat between tags, and are sometimes used again. */
export interface RunsTable {
  id: Generated<number>
  tag: string
  runNumber: number
  /** Begin of run from the ODB, Unix seconds; 0 when unknown. Distinguishes the generations of a number. */
  startedEpoch: number
  /** True for the generation of the number that the run pages and the Runlog show. */
  isCurrent: Defaulted<boolean>
  complete: Defaulted<boolean>
  problem: string | null
  /** The kinds of its open problems (catalogue/open-problems.ts), separated by commas; empty without one. */
  problems: Defaulted<string>
  hasProblem: Defaulted<boolean>
  integrity: Integrity
  /**
   * When its first file was catalogued; null while a file is awaited and only the logger recorded the run.
   */
  firstFileAt: ColumnType<Date | null, Date | null | undefined, Date | null>
  fileCount: Defaulted<number>
  sizeBytes: Defaulted<number>
  eventCount: Defaulted<number>
  firstEventAt: Date | null
  lastEventAt: Date | null
  startedAt: Date | null
  stoppedAt: Date | null
  pedestal: boolean | null
  description: string | null
  /** Run parameters by Runlog column: a person's corrections, else those of the files, else the logger's. */
  parameters: Json<Parameters>
  /** What the files state, or the last files stated; null before the first file. */
  fileParameters: OptionalJson<Parameters>
  /** What the DAQ's logger wrote into the Runlog; null when it wrote nothing. */
  loggerParameters: OptionalJson<Parameters>
  corrections: OptionalJson<Readonly<Record<string, Correction>>>
  /**
   * Where the run is: the result of `summarizeStorage`, updated with the replicas so that it can be searched.
   */
  cloud: Defaulted<StorageSummary['cloud']>
  tape: Defaulted<StorageSummary['tape']>
  local: StorageSummary['local']
  /** All its files are history. */
  isHistory: Defaulted<boolean>
  cataloguedAt: Date
  updatedAt: Date
}

/**
 * verified: every digest that the store or the uploader states agrees; unstated: none is stated; mismatch:
 * one disagrees.
 */
export type Integrity = 'verified' | 'unstated' | 'mismatch'

/** One version of one file of a run. */
export interface RunFilesTable {
  id: Generated<number>
  runId: number
  bucket: string
  objectKey: string
  versionId: string | null
  etag: string
  /** Since when the store has it; if the store does not state that, when it was catalogued. */
  lastModified: Date
  subrun: number | null
  compression: string
  sizeBytes: number
  uncompressedBytes: number
  md5: string
  sha256: string
  adler32: string
  crc64nvme: string | null
  integrity: Integrity
  /** Who stated which digest, and whether it agreed. */
  digestsCompared: Json<readonly DigestComparison[]>
  complete: boolean
  problemCode: string | null
  problem: string | null
  problemOffset: number | null
  warnings: Json<readonly StoredFinding[]>
  eventCount: number
  /** Event id → data events. */
  eventsById: Json<Readonly<Record<string, number>>>
  /** Event id → number of missing serial numbers; only ids that miss some. */
  serialGaps: Json<Readonly<Record<string, number>>>
  /** Bank name → count and bytes. */
  banks: Json<Readonly<Record<string, BankStatistics>>>
  internalEvents: Json<Readonly<Record<string, number>>>
  firstEventAt: Date | null
  lastEventAt: Date | null
  startedEpoch: number
  stoppedEpoch: number | null
  cameras: Json<readonly Camera[]>
  digitizers: Json<readonly DigitizerBoard[] | null>
  parameters: Json<Parameters>
  /** True while the store holds this version under the key, as far as is known. */
  isLive: boolean
  /** While it is live: false if another file of the run has the same part and counts (`aggregateRun`). */
  counts: Defaulted<boolean>
  /**
   * Older than the take-over time of its tag: no copy on tape and no reconstruction is requested until it is
   * adopted.
   */
  isHistory: Defaulted<boolean>
  supersededAt: Date | null
  cataloguedAt: Date
}

export interface DigestComparison {
  readonly by: string
  readonly algorithm: string
  readonly stated: string
  readonly agrees: boolean
}

/** What happened to a run, for people: one line per occurrence. */
export interface RunHistoryTable {
  id: Generated<number>
  runId: number
  at: Date
  what: string
  detail: string
}

/**
 * Requests to other functions: written with the rows that cause them, sent after the commit, at least once.
 */
export interface OutboxTable {
  id: Generated<number>
  /** Deterministic and unique: the same cause makes the same name. */
  name: string
  queue: string
  body: string
  runId: number | null
  createdAt: Date
  sentAt: Date | null
  /** Of alerts: when it became part of an episode. */
  foldedAt: Date | null
}

/** Notifications that could not be understood, kept for people. */
export interface ParkedNotificationsTable {
  id: Generated<number>
  receivedAt: Date
  reason: string
  body: string
  /** SHA-256 of the body: a notification that is repeated takes one row. */
  digest: Buffer
  times: Defaulted<number>
}

/** Tests of the notifications of a bucket: where the one of a test object has arrived. */
export interface NotificationTestsTable {
  /** UUID, part of the key of the test object. */
  id: string
  startedAt: Date
  /** By receive-notification. */
  receivedAt: Date | null
  /** By extract-metadata, from the queue. */
  processedAt: Date | null
}

/** Refused notifications of a reason, less than a day apart. */
export interface RefusedNotificationsTable {
  reason: string
  times: number
  since: Date
  /** The last of them. */
  refusedAt: Date
}

/** Progress of the reconciliation of a prefix, so that it resumes after a crash. */
export interface ReconciliationsTable {
  bucket: string
  prefix: string
  startAfter: string | null
  startedAt: Date
  updatedAt: Date
  finishedAt: Date | null
  listed: number
  enqueued: number
}

/** From when on Cygnet is responsible for the runs of a tag; `*`: of every tag without a row of its own. */
export interface TakeOversTable {
  tag: string
  since: Date
  setAt: Date
}

/** Bytes that were requested from tape, per request and tag. */
export interface RecallRequestsTable {
  id: Generated<number>
  /** Identity of the caller. */
  subject: string
  tag: string
  requestedAt: Date
  sizeBytes: number
}

/** `person:<subject>`, `tag:<tag>`, `store`: locked while a request is compared with this budget. */
export interface RecallBudgetsTable {
  name: string
}

/** What was seen of the Tape REST APIs of endpoints (ADR 8). */
export interface TapeEndpointsTable {
  /** The root of the copies. */
  endpoint: string
  /** Null while no API was seen. */
  tapeRestFoundAt: Date | null
  /** The first request that found none; of no meaning once an API was found. */
  tapeRestAbsentSince: Date | null
}

export interface Schema {
  arrivals: ArrivalsTable
  takeOvers: TakeOversTable
  runs: RunsTable
  runFiles: RunFilesTable
  runHistory: RunHistoryTable
  outbox: OutboxTable
  parkedNotifications: ParkedNotificationsTable
  notificationTests: NotificationTestsTable
  refusedNotifications: RefusedNotificationsTable
  reconciliations: ReconciliationsTable
  replicas: ReplicasTable
  tombstones: TombstonesTable
  /** View of replicas for readers, with the state of the work on each. */
  copies: CopiesTable
  recalls: RecallsTable
  recallRequests: RecallRequestsTable
  recallBudgets: RecallBudgetsTable
  /** View of recalls for readers, in the form of copies, with the state of the work on each. */
  shownRecalls: ShownRecallsTable
  tasks: TasksTable
  breakers: BreakersTable
  seenEvents: SeenEventsTable
  tapeEndpoints: TapeEndpointsTable
  darkObjects: DarkObjectsTable
  alerts: AlertsTable
  alertPosts: AlertPostsTable
  alertChannels: AlertChannelsTable
  alertFolding: AlertFoldingTable
  silences: SilencesTable
}

/** A run with the id of its row. */
export interface CataloguedRun extends RunId {
  readonly id: number
}

export type Arrival = Selectable<ArrivalsTable>
export type Run = Selectable<RunsTable>
export type RunFile = Selectable<RunFilesTable>
