/**
 * Whole lists of the catalogue, newest first, in batches. Few selected rows are found by an index. Otherwise each
 * statement reads a window of the table, so that it takes the same short time whatever is filtered, however large
 * the table is.
 */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { CopyKind, CopyState } from '../database/replica-schema.ts'
import type { ArrivalState } from '../database/schema.ts'
import { parseRunKey } from '../run.ts'
import { type AlertState, isInState, selectAlerts } from './alerts.ts'
import { bucketsOfLedger, keyRanges } from './runs.ts'
import { tagsWithRuns, type VisibleTags } from './site-state.ts'

export interface ListFilter {
  /** The requested tags that may be seen; `*` for all, also for what belongs to no tag. */
  readonly tags: VisibleTags
  /** Only rows before the one with this id. */
  readonly after: number | null
  /** Run numbers, both ends included. */
  readonly from?: number | undefined
  readonly to?: number | undefined
}

/** Rows of the table that the first statement reads, since most pages need no more, and at most. */
const FIRST_WINDOW = 500
const LARGEST_WINDOW = 5000

interface Window {
  /** Ids from `bottom` to below `top`. */
  readonly bottom: number
  readonly top: number
}

type TableOfRuns = 'replicas' | 'recalls' | 'runFiles' | 'runHistory'

/** Ids may have large gaps: the window is counted in rows. */
async function* windows(
  database: Database,
  table: TableOfRuns | 'arrivals' | 'alerts' | 'parkedNotifications',
  after: number | null,
): AsyncGenerator<Window> {
  let top = after ?? Number.MAX_SAFE_INTEGER
  for (let size = FIRST_WINDOW; ; size = Math.min(2 * size, LARGEST_WINDOW)) {
    const { rows } = await sql<{ id: number }>`SELECT id FROM ${sql.table(table)} WHERE id < ${top}
      ORDER BY id DESC LIMIT 1 OFFSET ${sql.lit(size - 1)}`.execute(database)
    const bottom = rows[0]?.id ?? 0
    yield { bottom, top }
    if (bottom === 0) return
    top = bottom
  }
}

/** Up to so many rows are found by an index before they are read. */
const FEW_ROWS = 20_000

/** Where a statement reads: rows with these ids, or those of a window. */
type Part = readonly number[] | Window

const within = (part: Part, column = 'id') =>
  'top' in part
    ? sql<boolean>`${sql.ref(column)} >= ${part.bottom} AND ${sql.ref(column)} < ${part.top}`
    : sql<boolean>`${sql.ref(column)} IN (${sql.join(part)})`

/** @param few the ids of all selected rows, if these are few. */
async function* partsOf(
  database: Database,
  table: TableOfRuns | 'arrivals',
  after: number | null,
  few: readonly number[] | null,
): AsyncGenerator<Part> {
  if (few === null) return yield* windows(database, table, after)
  const ids = few.filter((id) => after === null || id < after).toSorted((a, b) => b - a)
  for (let first = 0; first < ids.length; first += FIRST_WINDOW) yield ids.slice(first, first + FIRST_WINDOW)
}

/** The ids that the statement selects, which has the limit `FEW_ROWS + 1`; null if they are more than few. */
async function fewIds(
  database: Database,
  statement: ReturnType<typeof sql<{ id: number }>>,
): Promise<readonly number[] | null> {
  const { rows } = await statement.execute(database)
  return rows.length > FEW_ROWS ? null : rows.map(({ id }) => id)
}

const LIMIT = sql`LIMIT ${sql.lit(FEW_ROWS + 1)}`

/** Where to read the rows of the wanted runs: those of few runs without the rest of the table. */
async function* partsOfRuns(
  database: Database,
  table: TableOfRuns,
  filter: ListFilter,
): AsyncGenerator<Part> {
  yield* partsOf(database, table, filter.after, await fewOfRuns(database, table, filter))
}

async function fewOfRuns(
  database: Database,
  table: TableOfRuns,
  { tags, from = 0, to = Number.MAX_SAFE_INTEGER }: ListFilter,
): Promise<readonly number[] | null> {
  if (tags === '*' && from === 0 && to === Number.MAX_SAFE_INTEGER) return null
  const own = sql.join(tagList(await tagsWithRuns(database, tags)))
  const runs = sql<{
    id: number
  }>`SELECT id FROM runs WHERE tag IN (${own}) AND run_number BETWEEN ${from} AND ${to} ${LIMIT}`
  if ((await fewIds(database, runs)) === null) return null
  return await fewIds(
    database,
    sql`SELECT own.id FROM (${runs}) AS selected JOIN ${sql.table(table)} AS own ON own.run_id = selected.id ${LIMIT}`,
  )
}

const COPY_FIELDS = [
  'id',
  'tag',
  'runNumber',
  'kind',
  'state',
  'endpoint',
  'bucket',
  'objectKey as key',
  'url',
  'sizeBytes',
  'md5',
  'adler32',
  'sha256',
  'priority',
  'requestedAt',
  'requestedBy',
  'startedAt',
  'storedAt',
  'verifiedAt',
  'verifiedBy',
  'verifiedEvidence',
  'doubtedEvidence',
  'checkedAt',
  'expiresAt',
  'deletedAt',
  'attempts',
  'nextAttemptAt',
  'lastError',
] as const

export interface CopyFilter extends ListFilter {
  readonly kinds?: readonly CopyKind[] | undefined
  readonly states?: readonly CopyState[] | undefined
}

/** Copies of files: in the store, on tape, on disks of the DAQ. */
export const listCopies = (database: Database, filter: CopyFilter) =>
  copiesIn(database, 'copies', 'replicas', filter)

/** Recalls, in the form of copies. */
export const listRecalls = (database: Database, filter: CopyFilter) =>
  copiesIn(database, 'shownRecalls', 'recalls', filter)

async function* copiesIn(
  database: Database,
  view: 'copies' | 'shownRecalls',
  table: 'replicas' | 'recalls',
  filter: CopyFilter,
) {
  const { tags, from, to, kinds, states } = filter
  for await (const part of partsOfRuns(database, table, filter))
    yield await database
      // Both views have these columns.
      .selectFrom(view as 'copies')
      .select(COPY_FIELDS)
      .where(within(part))
      .$if(tags !== '*', (query) => query.where('tag', 'in', tagList(tags)))
      .$if(from !== undefined, (query) => query.where('runNumber', '>=', from ?? 0))
      .$if(to !== undefined, (query) => query.where('runNumber', '<=', to ?? 0))
      .$if(kinds !== undefined, (query) => query.where('kind', 'in', (kinds ?? []) as 'cloud'[]))
      .$if(states !== undefined, (query) => query.where('state', 'in', states ?? []))
      .orderBy('id', 'desc')
      .execute()
}

/** The tags for an SQL list, which must not be empty. */
const tagList = (tags: VisibleTags): readonly string[] => (tags === '*' || tags.length === 0 ? [''] : tags)

/** Versions of files, the current ones and those that were replaced. */
export async function* listFiles(database: Database, filter: ListFilter) {
  const { tags, from, to } = filter
  for await (const part of partsOfRuns(database, 'runFiles', filter))
    yield await database
      .selectFrom('runFiles as f')
      .innerJoin('runs as r', 'r.id', 'f.runId')
      .select([
        'f.id',
        'r.tag',
        'r.runNumber',
        'f.bucket',
        'f.objectKey as key',
        'f.subrun',
        'f.isLive as live',
        'f.counts',
        'f.etag',
        'f.versionId',
        'f.lastModified',
        'f.compression',
        'f.sizeBytes',
        'f.uncompressedBytes',
        'f.md5',
        'f.sha256',
        'f.adler32',
        'f.crc64nvme',
        'f.integrity',
        'f.complete',
        'f.problem',
        'f.eventCount',
        'f.firstEventAt',
        'f.lastEventAt',
        'f.cataloguedAt',
        'f.supersededAt',
      ])
      .where(within(part, 'f.id'))
      .$if(tags !== '*', (query) => query.where('r.tag', 'in', tagList(tags)))
      .$if(from !== undefined, (query) => query.where('r.runNumber', '>=', from ?? 0))
      .$if(to !== undefined, (query) => query.where('r.runNumber', '<=', to ?? 0))
      .orderBy('f.id', 'desc')
      .execute()
}

/** What happened to runs. */
export async function* listHistory(database: Database, filter: ListFilter) {
  const { tags, from, to } = filter
  for await (const part of partsOfRuns(database, 'runHistory', filter))
    yield await database
      .selectFrom('runHistory as h')
      .innerJoin('runs as r', 'r.id', 'h.runId')
      .select(['h.id', 'r.tag', 'r.runNumber', 'h.at', 'h.what', 'h.detail'])
      .where(within(part, 'h.id'))
      .$if(tags !== '*', (query) => query.where('r.tag', 'in', tagList(tags)))
      .$if(from !== undefined, (query) => query.where('r.runNumber', '>=', from ?? 0))
      .$if(to !== undefined, (query) => query.where('r.runNumber', '<=', to ?? 0))
      .orderBy('h.id', 'desc')
      .execute()
}

interface ArrivalFilter extends ListFilter {
  readonly states?: readonly ArrivalState[] | undefined
}

/** Versions of objects that were notified or listed. Tag and run number are those of the key; null without. */
export async function* listArrivals(database: Database, filter: ArrivalFilter) {
  const { tags, after, from, to, states } = filter
  for await (const part of partsOf(database, 'arrivals', after, await fewArrivals(database, filter))) {
    const rows = await database
      .selectFrom('arrivals')
      .select(ARRIVAL_FIELDS)
      .where(within(part))
      .$if(states !== undefined, (query) => query.where('state', 'in', states ?? []))
      .$if(tags !== '*', (query) => query.where(sql<boolean>`${FOLDER} IN (${sql.join(tagList(tags))})`))
      .$if(from !== undefined, (query) => query.where(sql<boolean>`${NUMBER} >= ${from}`))
      .$if(to !== undefined, (query) => query.where(sql<boolean>`${NUMBER} <= ${to}`))
      .orderBy('id', 'desc')
      .execute()
    yield rows
      .map(({ id, ...row }) => {
        const { tag = null, runNumber = null } = parseRunKey(row.key) ?? {}
        return { id, tag, runNumber, ...row }
      })
      .filter(({ tag, runNumber }) => isShown(tags, tag) && isBetween(runNumber, from, to))
  }
}

const FILE_NAME = sql`SUBSTRING_INDEX(object_key, '/', -1)`
/** The tag and the number in the key of a run; of any other key, something else. */
const FOLDER = sql`LEFT(object_key, CHAR_LENGTH(object_key) - CHAR_LENGTH(${FILE_NAME}) - 1)`
const NUMBER = sql`CAST(SUBSTRING(${FILE_NAME}, 4) AS UNSIGNED)`

/** Arrivals of up to so many runs are found by the possible keys of their files. */
const FEW_KEYS = 20

/** The ids of the arrivals in the selected states, or of the selected runs and perhaps others, if these are few. */
async function fewArrivals(
  database: Database,
  { tags, from, to, states }: ArrivalFilter,
): Promise<readonly number[] | null> {
  if (states !== undefined) {
    const inStates = await fewIds(
      database,
      sql`SELECT id FROM arrivals FORCE INDEX (by_state) WHERE state IN (${sql.join(states)}) ${LIMIT}`,
    )
    if (inStates !== null) return inStates
  }
  if (tags === '*') return null
  const buckets = await bucketsOfLedger(database)
  if (buckets.length === 0 || tags.length === 0) return []
  const runs = from === undefined || to === undefined ? Number.POSITIVE_INFINITY : Math.max(to - from + 1, 0)
  const ranges = tags.flatMap((tag) =>
    runs * tags.length > FEW_KEYS
      ? [[`${tag}/run`, `${tag}/ruo`] as const]
      : Array.from({ length: runs }, (_, index) => keyRanges(tag, (from ?? 0) + index)).flat(),
  )
  if (ranges.length === 0) return []
  return await fewIds(
    database,
    sql`SELECT id FROM arrivals FORCE INDEX (by_object) WHERE bucket IN (${sql.join(buckets)})
      AND (${sql.join(
        ranges.map(([first, end]) => sql`(object_key >= ${first} AND object_key < ${end})`),
        sql` OR `,
      )}) ${LIMIT}`,
  )
}

const ARRIVAL_FIELDS = [
  'id',
  'bucket',
  'objectKey as key',
  'etag',
  'versionId',
  'sizeBytes',
  'state',
  'outcome',
  'attempts',
  'reason',
  'source',
  'receivedAt',
  'announcedAt',
  'finishedAt',
  'nextAttemptAt',
  'isHistory as history',
] as const

const isShown = (tags: VisibleTags, tag: string | null): boolean =>
  tags === '*' || (tag !== null && tags.includes(tag))

const isBetween = (runNumber: number | null, from = 0, to = Number.POSITIVE_INFINITY): boolean =>
  runNumber === null ? from === 0 && to === Number.POSITIVE_INFINITY : runNumber >= from && runNumber <= to

/** Alerts, each from when it was found until it ended; those without a tag only for callers who may see all. */
export async function* listAlerts(
  database: Database,
  {
    tags,
    after,
    since,
    states,
  }: ListFilter & { readonly since?: Date | undefined; readonly states?: readonly AlertState[] | undefined },
) {
  for await (const { bottom, top } of windows(database, 'alerts', after)) {
    const rows = await selectAlerts(database, tags)
      .where('id', '>=', bottom)
      .where('id', '<', top)
      .$if(since !== undefined, (query) => query.where('lastSeen', '>=', since ?? new Date(0)))
      .$if(states !== undefined, (query) => query.where(isInState(states ?? [])))
      .orderBy('id', 'desc')
      .execute()
    yield rows.map((alert) => ({ at: alert.since, ...alert }))
  }
}

/** Longest part of the body of a notification. */
const MOST_CHARACTERS = 2000

/** Notifications that could not be parsed. */
export async function* listParkedNotifications(database: Database, after: number | null) {
  for await (const { bottom, top } of windows(database, 'parkedNotifications', after))
    yield await database
      .selectFrom('parkedNotifications')
      .select(['id', 'receivedAt', 'times', 'reason'])
      .select(sql<string>`LEFT(body, ${sql.lit(MOST_CHARACTERS)})`.as('body'))
      .where('id', '>=', bottom)
      .where('id', '<', top)
      .orderBy('id', 'desc')
      .execute()
}
