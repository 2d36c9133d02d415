/** The lists of the pages as lists of the API: every row that the filters select, as JSON, NDJSON or CSV. */
import { z } from '@hono/zod-openapi'
import { SHOWN_STATES } from '../../../shared/catalogue/replica-states.ts'
import type { Context } from '../../../shared/context.ts'
import type { AlertState } from '../../../shared/queries/alerts.ts'
import { storageByDay } from '../../../shared/queries/dashboard.ts'
import {
  listAlerts,
  listArrivals,
  listCopies,
  listFiles,
  listHistory,
  listParkedNotifications,
  listRecalls,
} from '../../../shared/queries/lists.ts'
import { openCopies } from '../../../shared/queries/site-state.ts'
import type { Api, ApiContext } from '../http/route.ts'
import { createAllRuns } from './all-runs.ts'
import { addList, addSmallList, anyOf, FILTERS } from './list-route.ts'
import { readableTags } from './readable-tags.ts'
import { daysFilter, sinceOfDays } from './replicas.ts'
import { timeFilter } from './run-query.ts'
import { alertFields } from './schemas.ts'

const READERS = { right: 'read', anyTag: true } as const
/** A queue belongs to no tag. */
const OPERATORS = { right: 'operate', everyTag: true } as const

const text = z.string()
const textOrNull = z.string().nullable()
const time = z.iso.datetime()
const timeOrNull = time.nullable()
const id = z.int()
const bytes = z.int()
const ofRun = { tag: text, runNumber: z.int() } as const
const ofObject = { bucket: text, key: text } as const

const copy = z.strictObject({
  id,
  ...ofRun,
  kind: text,
  state: text,
  endpoint: text,
  ...ofObject,
  url: text,
  sizeBytes: bytes,
  md5: text,
  adler32: text,
  sha256: text,
  priority: text,
  requestedAt: time,
  requestedBy: text,
  startedAt: timeOrNull,
  storedAt: timeOrNull,
  verifiedAt: timeOrNull,
  verifiedBy: textOrNull,
  verifiedEvidence: textOrNull,
  doubtedEvidence: textOrNull,
  checkedAt: timeOrNull,
  expiresAt: timeOrNull,
  deletedAt: timeOrNull,
  attempts: z.int(),
  nextAttemptAt: timeOrNull,
  lastError: textOrNull,
})

const file = z.strictObject({
  id,
  ...ofRun,
  ...ofObject,
  subrun: z.int().nullable(),
  live: z.boolean(),
  counts: z.boolean(),
  etag: text,
  versionId: textOrNull,
  lastModified: time,
  compression: text,
  sizeBytes: bytes,
  uncompressedBytes: bytes,
  md5: text,
  sha256: text,
  adler32: text,
  crc64nvme: textOrNull,
  integrity: text,
  complete: z.boolean(),
  problem: textOrNull,
  eventCount: z.int(),
  firstEventAt: timeOrNull,
  lastEventAt: timeOrNull,
  cataloguedAt: time,
  supersededAt: timeOrNull,
})

const arrival = z.strictObject({
  id,
  tag: textOrNull.openapi({ description: 'By the key; null for another name' }),
  runNumber: z.int().nullable(),
  ...ofObject,
  etag: text,
  versionId: textOrNull,
  sizeBytes: bytes.nullable(),
  state: text,
  outcome: textOrNull,
  attempts: z.int(),
  reason: textOrNull,
  source: text,
  receivedAt: time,
  announcedAt: time,
  finishedAt: timeOrNull,
  nextAttemptAt: timeOrNull,
  history: z.boolean(),
})

const ALERT_STATES = ['firing', 'acknowledged', 'resolved'] as const satisfies readonly AlertState[]

const alert = z.strictObject({
  id,
  at: time.openapi({ description: 'The same as `since`' }),
  severity: text,
  rule: text,
  ...alertFields,
  summary: text,
})

const parked = z.strictObject({ id, receivedAt: time, times: z.int(), reason: text, body: text })

const day = z.strictObject({
  tag: text,
  day: z.iso.date(),
  runs: z.int(),
  takenBytes: bytes,
  localBytes: bytes,
  cloudBytes: bytes,
  tapeBytes: bytes,
})
const place = z.strictObject({ tag: text, cloud: text, tape: text, runs: z.int(), sizeBytes: bytes })
const open = z.strictObject({
  tag: text,
  kind: text,
  state: text,
  priority: text,
  count: z.int(),
  sizeBytes: bytes,
  oldest: time,
  failing: z.int(),
  givenUp: z.boolean().openapi({ description: 'Failed, and not tried again by itself' }),
  lastError: textOrNull,
})

export function registerLists(api: Api, context: Context<'database'>): void {
  const { database, now } = context
  const tagsOf = (c: ApiContext, tag: readonly string[] | undefined) => readableTags(context, c, tag ?? null)
  const copyStates = anyOf(SHOWN_STATES, 'State of the copy')

  addList(
    api,
    context,
    {
      path: '/api/v1/copies',
      group: 'Replicas',
      summary: 'Copies of files, one by one, newest first',
      name: 'copies',
      filters: {
        ...FILTERS,
        kind: anyOf(['local', 'cloud', 'tape'], 'Place of the copy'),
        state: copyStates,
      },
      row: copy,
      rule: READERS,
    },
    async (c, { tag, from, to, kind, state }, after) =>
      listCopies(database, {
        tags: await tagsOf(c, tag),
        after,
        from,
        to,
        kinds: kind,
        states: state,
      }),
  )
  addList(
    api,
    context,
    {
      path: '/api/v1/recalls',
      group: 'Links',
      summary: 'Recalls from tape, newest first',
      name: 'recalls',
      filters: { ...FILTERS, state: copyStates },
      row: copy,
      rule: READERS,
    },
    async (c, { tag, from, to, state }, after) =>
      listRecalls(database, { tags: await tagsOf(c, tag), after, from, to, states: state }),
  )
  addList(
    api,
    context,
    {
      path: '/api/v1/files',
      group: 'Runs',
      summary: 'Files of runs with their checksums, newest first',
      description: 'Also replaced versions: `live` is false for them.',
      name: 'files',
      filters: FILTERS,
      row: file,
      rule: READERS,
    },
    async (c, { tag, from, to }, after) =>
      listFiles(database, { tags: await tagsOf(c, tag), after, from, to }),
  )
  addList(
    api,
    context,
    {
      path: '/api/v1/history',
      group: 'Runs',
      summary: 'What happened to runs, newest first',
      name: 'history',
      filters: FILTERS,
      row: z.strictObject({ id, ...ofRun, at: time, what: text, detail: text }),
      rule: READERS,
    },
    async (c, { tag, from, to }, after) =>
      listHistory(database, { tags: await tagsOf(c, tag), after, from, to }),
  )
  addList(
    api,
    context,
    {
      path: '/api/v1/arrivals',
      group: 'Runs',
      summary: 'Objects that were notified or found in the store, newest first',
      description: 'Objects whose keys have no tag are listed for callers who may read all tags.',
      name: 'arrivals',
      filters: {
        ...FILTERS,
        state: anyOf(['received', 'processing', 'done', 'invalid', 'failed'], 'State of the arrival'),
      },
      row: arrival,
      rule: READERS,
    },
    async (c, { tag, from, to, state }, after) =>
      listArrivals(database, { tags: await tagsOf(c, tag), after, from, to, states: state }),
  )
  addList(
    api,
    context,
    {
      path: '/api/v1/alerts',
      group: 'Runs',
      summary: 'Alerts, newest first',
      description:
        'One row is one episode of a condition, from when it was found first until it ended. Alerts about no tag are listed for callers who may read all tags.',
      name: 'alerts',
      filters: {
        tag: FILTERS.tag,
        state: anyOf(ALERT_STATES, 'State of the alert'),
        since: timeFilter('Found at this time or later, if not for the first time'),
      },
      row: alert,
      rule: READERS,
    },
    async (c, { tag, since, state }, after) =>
      listAlerts(database, { tags: await tagsOf(c, tag), after, since, states: state }),
  )
  addList(
    api,
    context,
    {
      path: '/api/v1/parked',
      group: 'Queues',
      summary: 'Notifications that could not be parsed, newest first',
      description: 'With the first 2000 characters of each.',
      name: 'parked',
      filters: {},
      row: parked,
      rule: OPERATORS,
    },
    async (_, __, after) => listParkedNotifications(database, after),
  )

  const allRuns = createAllRuns({ database, now })
  addSmallList(
    api,
    context,
    {
      path: '/api/v1/replicas/days',
      group: 'Replicas',
      summary: 'Volume by place, by the day on which the data was taken (UTC) and tag',
      name: 'days',
      filters: { tag: FILTERS.tag, days: daysFilter },
      row: day,
      rule: READERS,
    },
    async (c, { tag, days }) =>
      (await storageByDay(database, await tagsOf(c, tag), sinceOfDays(days, now()))).map((row) => ({
        ...row,
      })),
  )
  addSmallList(
    api,
    context,
    {
      path: '/api/v1/replicas/places',
      group: 'Replicas',
      summary: 'All catalogued runs by tag and place; at most a minute old',
      name: 'places',
      filters: { tag: FILTERS.tag },
      row: place,
      rule: READERS,
    },
    async (c, { tag }) => (await allRuns(await tagsOf(c, tag))).map((row) => ({ ...row })),
  )
  addSmallList(
    api,
    context,
    {
      path: '/api/v1/replicas/open',
      group: 'Replicas',
      summary: 'Copies in progress, failed, missing or suspicious, by tag, place and state',
      name: 'open-copies',
      filters: { tag: FILTERS.tag },
      row: open,
      rule: READERS,
    },
    async (c, { tag }) => (await openCopies(database, await tagsOf(c, tag))).map((row) => ({ ...row })),
  )
}
