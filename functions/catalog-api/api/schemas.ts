/** The schemas of answers about runs, for the OpenAPI document. The tests validate real answers with them. */
import { z } from '@hono/zod-openapi'
import { PROBLEM_KINDS } from '../../../shared/catalogue/open-problems.ts'
import { CLOUD_WORDS, TAPE_WORDS } from '../../../shared/database/storage-summary.ts'

const time = z.iso.datetime().openapi({ example: '2026-01-15T08:00:00.000Z' })
const timeOrNull = time.nullable()
const bytes = z.int().openapi({ description: 'Bytes', example: 412_345_678 })
const hex = (algorithm: string) => z.string().openapi({ description: `${algorithm}, lower-case hexadecimal` })

const integrity = z.enum(['verified', 'unstated', 'mismatch'])
const place = {
  bucket: z.string().openapi({ example: 'cygno-data' }),
  key: z.string().openapi({ example: 'LNGS/run12345.mid.gz' }),
}
const runName = {
  tag: z.string().openapi({ example: 'LNGS' }),
  runNumber: z.int().openapi({ example: 12345 }),
}

const parameters = z.record(z.string(), z.union([z.number(), z.string(), z.null()])).openapi({
  description:
    'By column of the Runlog; times in it are local time of the DAQ. For the location of the run see `storage`',
  example: { GEM1_V: 440, exposure_sec: 0.3, pedestal_run: 0, start_time: '2026-01-15 09:00:00' },
})

const storage = z
  .object({
    cloud: z.enum(CLOUD_WORDS),
    tape: z.enum(TAPE_WORDS),
    local: z
      .enum(['present', 'deleted'])
      .nullable()
      .openapi({ description: "The DAQ's disk; null when no program reported it" }),
  })
  .openapi({
    description: 'Location of the run, over all its files',
    example: { cloud: 'present', tape: 'on-media', local: 'deleted' },
  })

const EVENTS =
  'MIDAS events of all ids: triggers, and the events of HV, environment and camera status in between'

const runShape = {
  ...runName,
  startedAt: timeOrNull,
  stoppedAt: timeOrNull,
  complete: z.boolean(),
  problem: z.string().nullable(),
  problems: z
    .array(z.enum(PROBLEM_KINDS))
    .openapi({ description: 'The kinds of its open problems, the most severe first', example: [] }),
  integrity,
  eventCount: z
    .int()
    .openapi({ description: `${EVENTS}. The triggers of a run are its \`events\` of id 1`, example: 412 }),
  sizeBytes: bytes,
  fileCount: z.int().openapi({ example: 1 }),
  pedestal: z.boolean().nullable(),
  description: z.string().nullable(),
  firstEventAt: timeOrNull,
  lastEventAt: timeOrNull,
  cataloguedAt: time,
  updatedAt: time,
  beforeTakeOver: z.boolean().openapi({
    description:
      'History: older than the take-over time of its tag, no copy on tape and no reconstruction is requested',
  }),
}

/** An item of a list: fields that were not requested are absent. */
export const runItem = z
  .strictObject({ ...runShape, storage, parameters })
  .partial()
  .openapi('Run')

export const runPage = z
  .strictObject({
    runs: z.array(runItem),
    next: z
      .string()
      .nullable()
      .openapi({ description: 'The `cursor` of the next page; null on the last page' }),
    heard: z.array(z.string()).optional().openapi({
      description: 'For a single number without a run: one sentence per recorded file',
    }),
  })
  .openapi('RunPage')

const finding = z.strictObject({ code: z.string(), message: z.string(), offset: z.int().nullable() })

const file = z
  .strictObject({
    ...place,
    live: z.boolean().openapi({ description: 'Whether this is the current version of the file' }),
    counts: z.boolean().openapi({
      description: 'Whether it is one of the files whose events, size and copies are those of the run',
    }),
    subrun: z.int().nullable(),
    etag: z.string(),
    versionId: z.string().nullable(),
    lastModified: time,
    compression: z.string().openapi({ example: 'gzip' }),
    sizeBytes: bytes,
    uncompressedBytes: bytes,
    md5: hex('MD5'),
    sha256: hex('SHA-256'),
    adler32: hex('Adler-32'),
    crc64nvme: hex('CRC-64/NVME').nullable(),
    integrity,
    digestsCompared: z.array(
      z.strictObject({ by: z.string(), algorithm: z.string(), stated: z.string(), agrees: z.boolean() }),
    ),
    complete: z.boolean(),
    problem: z.string().nullable(),
    problemCode: z.string().nullable(),
    problemOffset: z.int().nullable(),
    warnings: z.array(finding),
    eventCount: z.int().openapi({ description: EVENTS }),
    internalEvents: z
      .record(z.string(), z.int())
      .openapi({ description: 'Begin of run, end of run and messages, by id; they contain no data' }),
    cameras: z
      .array(z.looseObject({ number: z.int(), model: z.string(), width: z.int(), height: z.int() }))
      .openapi({ description: 'The cameras with frames in the file; number 0 is that of bank CAM0' }),
    digitizers: z.array(z.looseObject({})).nullable(),
    cataloguedAt: time,
    supersededAt: timeOrNull,
  })
  .openapi('File')

const evidence = z.enum(['inference', 'statement', 'existence', 'stored-checksum', 'read']).nullable()

const replica = z
  .strictObject({
    kind: z.enum(['local', 'cloud', 'tape', 'recall']),
    endpoint: z.string(),
    url: z.string(),
    ...place,
    state: z.string().openapi({ example: 'on-media' }),
    sizeBytes: bytes,
    md5: hex('MD5'),
    adler32: hex('Adler-32'),
    sha256: hex('SHA-256'),
    priority: z.enum(['live', 'backlog']),
    requestedAt: time,
    requestedBy: z.string(),
    startedAt: timeOrNull,
    storedAt: timeOrNull,
    verifiedAt: timeOrNull.openapi({ description: 'When its checksum last compared equal' }),
    verifiedBy: z.string().nullable(),
    verifiedEvidence: evidence.openapi({ description: 'What the verification rests on' }),
    doubtedEvidence: evidence.openapi({
      description: 'The strongest evidence against the copy since; only evidence as strong clears it',
    }),
    checkedAt: timeOrNull,
    expiresAt: timeOrNull,
    deletedAt: timeOrNull,
    reference: z.string().nullable(),
    attempts: z.int(),
    nextAttemptAt: timeOrNull,
    lastError: z.string().nullable(),
  })
  .openapi('Replica')

/** Of an episode of a condition. */
export const alertFields = {
  fingerprint: z
    .string()
    .openapi({ description: 'Identifies the condition: the same for all episodes of it' }),
  state: z
    .enum(['firing', 'acknowledged', 'resolved'])
    .openapi({ description: 'acknowledged: it lasts, and somebody takes care' }),
  tag: z.string().nullable(),
  runNumber: z.int().nullable(),
  bucket: z.string().nullable(),
  key: z.string().nullable(),
  subject: z
    .string()
    .openapi({ description: 'The endpoint, bucket, machine … it is about; empty where it is a run or file' }),
  since: time.openapi({ description: 'When it was found first' }),
  lastSeen: time.openapi({ description: 'When it was found last' }),
  count: z.int().openapi({ description: 'How often it was found' }),
  acknowledgedAt: timeOrNull,
  acknowledgedBy: z.string().nullable(),
  comment: z.string().nullable().openapi({ description: 'Of whoever acknowledged it' }),
  resolvedAt: timeOrNull,
  resolvedBy: z.string().nullable().openapi({ description: 'rule, or the person' }),
}

const alert = z
  .strictObject({ id: z.int(), rule: z.string(), severity: z.string(), ...alertFields, summary: z.string() })
  .openapi('Alert')

/** A run's parameters with their sources. */
const parameterFields = {
  parameters,
  parameterSources: z.record(z.string(), z.enum(['person', 'file', 'logger'])).openapi({
    description:
      "Source of each parameter: a person's correction takes precedence over the file's ODB, and that over the DAQ's logger",
    example: { GEM1_V: 'person', exposure_sec: 'file' },
  }),
  corrections: z
    .record(
      z.string(),
      z.strictObject({ value: z.union([z.number(), z.string()]), by: z.string(), at: time }),
    )
    .openapi({ description: 'Parameters that a person corrected', example: {} }),
}
export const runParameters = z.strictObject(parameterFields).openapi('RunParameters')

export const runDetails = z
  .strictObject({
    ...runShape,
    use: z.int().openapi({ description: 'Id of this generation of the run number' }),
    current: z.boolean().openapi({ description: 'Whether this is the generation that lists show' }),
    ...parameterFields,
    storage,
    files: z.array(file),
    refused: z
      .array(z.strictObject({ ...place, reason: z.string().nullable(), since: time }))
      .openapi({ description: 'Objects whose names state or resemble the run, and that could not be read' }),
    replicas: z.array(replica),
    banks: z.array(z.strictObject({ bank: z.string().openapi({ example: 'CAM0' }), count: z.int(), bytes })),
    events: z
      .array(
        z.strictObject({
          eventId: z.int().openapi({ description: '1: the trigger, with camera frame and digitizers' }),
          events: z.int(),
          serialGaps: z
            .int()
            .openapi({ description: 'Missing serial numbers between the first and the last' }),
        }),
      )
      .openapi({ description: 'MIDAS events by id' }),
    requests: z.array(
      z.strictObject({ queue: z.string(), name: z.string(), createdAt: time, sentAt: timeOrNull }),
    ),
    alerts: z
      .array(alert)
      .openapi({ description: 'About the run and its files, newest first, also those that have ended' }),
    history: z.array(z.strictObject({ at: time, what: z.string(), detail: z.string() })),
    uses: z.array(
      z.strictObject({
        use: z.int(),
        current: z.boolean(),
        startedAt: timeOrNull,
        fileCount: z.int(),
        problem: z.string().nullable(),
      }),
    ),
  })
  .openapi('RunDetails')

export const runFiles = z.strictObject({ ...runName, files: z.array(file) }).openapi('RunFiles')
