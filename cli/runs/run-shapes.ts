/**
 * Runs in the form of the API (shared/queries/run-view.ts): the fields that the CLI shows are validated, the
 * others are passed on as JSON.
 */
import * as z from 'zod'

/** Other fields are passed on, but are not part of the type. */
const open = <T extends z.ZodRawShape>(shape: T) => z.looseObject(shape) as z.ZodObject as z.ZodObject<T>

const text = z.string()
const textOrNull = z.string().nullable()
const time = z.iso.datetime()
const timeOrNull = time.nullable()
const count = z.int().nonnegative()

const runShape = {
  tag: text,
  runNumber: count,
  startedAt: timeOrNull,
  stoppedAt: timeOrNull,
  complete: z.boolean(),
  problem: textOrNull,
  problems: z.array(text).readonly(),
  integrity: text,
  eventCount: count,
  sizeBytes: count,
  fileCount: count,
  pedestal: z.boolean().nullable(),
  description: textOrNull,
  firstEventAt: timeOrNull,
  lastEventAt: timeOrNull,
  cataloguedAt: time,
  updatedAt: time,
  beforeTakeOver: z.boolean(),
} as const

/** Fields of a listed run that are also columns of the CSV. */
export const RUN_FIELDS = Object.keys(runShape) as readonly (keyof typeof runShape)[]

const storage = z.object({ cloud: text, tape: text, local: textOrNull }).readonly()
const parameters = z.record(z.string(), z.union([z.number(), z.string(), z.null()])).readonly()

/** A run of a list. Parameters are present when they were requested. */
export const runItem = open({ ...runShape, storage, parameters: parameters.optional() }).readonly()
export type RunItem = z.output<typeof runItem>

const file = open({
  bucket: text,
  key: text,
  live: z.boolean(),
  counts: z.boolean(),
  compression: text,
  sizeBytes: count,
  uncompressedBytes: count,
  md5: text,
  sha256: text,
  adler32: text,
  digestsCompared: z.array(open({ by: text, algorithm: text, agrees: z.boolean() })).readonly(),
  problem: textOrNull,
  problemOffset: count.nullable(),
  warnings: z.array(open({ message: text })).readonly(),
  cameras: z.array(open({ number: count, model: text, width: count, height: count })).readonly(),
  lastModified: time,
  cataloguedAt: time,
}).readonly()
export type ShownFile = z.output<typeof file>

const replica = open({
  kind: text,
  url: text,
  bucket: text,
  key: text,
  sha256: text,
  md5: text,
  sizeBytes: count,
  state: text,
  requestedAt: time,
  verifiedAt: timeOrNull,
  verifiedBy: textOrNull,
  verifiedEvidence: textOrNull,
  doubtedEvidence: textOrNull,
  expiresAt: timeOrNull,
  attempts: count,
  nextAttemptAt: timeOrNull,
  lastError: textOrNull,
}).readonly()
export type ShownReplica = z.output<typeof replica>

export const shownRun = open({
  ...runShape,
  use: count,
  current: z.boolean(),
  parameters,
  storage,
  files: z.array(file).readonly(),
  refused: z.array(open({ bucket: text, key: text, reason: textOrNull, since: time })).readonly(),
  replicas: z.array(replica).readonly(),
  banks: z.array(open({ bank: text, count, bytes: count })).readonly(),
  events: z.array(open({ eventId: z.int(), events: count, serialGaps: count })).readonly(),
  requests: z.array(open({ queue: text, name: text, createdAt: time, sentAt: timeOrNull })).readonly(),
  history: z.array(open({ at: time, what: text, detail: text })).readonly(),
  uses: z.array(open({ use: count, current: z.boolean() })).readonly(),
}).readonly()
export type ShownRun = z.output<typeof shownRun>
