/**
 * Whole lists of the catalogue, newest first, in batches: each statement reads a window of as many rows of the
 * table, so that it takes the same short time whatever is filtered, however large the table is.
 */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { CopyKind, CopyState } from '../database/replica-schema.ts'
import type { ArrivalState } from '../database/schema.ts'
import { parseRunKey } from '../run.ts'
import { type AlertState, isInState, selectAlerts } from './alerts.ts'
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

/** Ids may have large gaps: the window is counted in rows. @param ids of runs, if only their rows are wanted. */
async function* windows(
  database: Database,
  table: TableOfRuns | 'arrivals' | 'alerts' | 'parkedNotifications',
  after: number | null,
  ids: readonly number[] | null = null,
): AsyncGenerator<Window> {
  const ofRuns = ids === null ? sql`` : sql` AND run_id IN (${sql.join(ids)})`
  let top = after ?? Number.MAX_SAFE_INTEGER
  for (let size = FIRST_WINDOW; ; size = Math.min(2 * size, LARGEST_WINDOW)) {
    const { rows } = await sql<{ bottom: number | null }>`SELECT MIN(id) AS bottom FROM
      (SELECT id FROM ${sql.table(table)} WHERE id < ${top}${ofRuns} ORDER BY id DESC LIMIT ${sql.lit(size)}) AS below`.execute(
      database,
    )
    const bottom = rows[0]?.bottom ?? null
    if (bottom === null) return
    yield { bottom, top }
    top = bottom
  }
}

/** Rows of up to so many run numbers are found by their runs. */
const FEW_RUNS = 200

/** The windows with rows of the wanted runs; of few runs without reading the rest of the table. */
async function* windowsOfRuns(
  database: Database,
  table: TableOfRuns,
  { tags, after, from, to }: ListFilter,
): AsyncGenerator<Window & { readonly ids: readonly number[] | null }> {
  let ids: readonly number[] | null = null
  if (from !== undefined && to !== undefined && to - from < FEW_RUNS) {
    const runs = await database
      .selectFrom('runs')
      .select('id')
      .where('tag', 'in', tagList(await tagsWithRuns(database, tags)))
      .where('runNumber', '>=', from)
      .where('runNumber', '<=', to)
      .execute()
    ids = runs.map(({ id }) => id)
    if (ids.length === 0) return
  }
  for await (const window of windows(database, table, after, ids)) yield { ...window, ids }
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
  for await (const { bottom, top, ids } of windowsOfRuns(database, table, filter))
    yield await database
      // Both views have these columns.
      .selectFrom(view as 'copies')
      .select(COPY_FIELDS)
      .where('id', '>=', bottom)
      .where('id', '<', top)
      .$if(ids !== null, (query) => query.where('runId', 'in', ids ?? []))
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
  for await (const { bottom, top, ids } of windowsOfRuns(database, 'runFiles', filter))
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
      .where('f.id', '>=', bottom)
      .where('f.id', '<', top)
      .$if(ids !== null, (query) => query.where('f.runId', 'in', ids ?? []))
      .$if(tags !== '*', (query) => query.where('r.tag', 'in', tagList(tags)))
      .$if(from !== undefined, (query) => query.where('r.runNumber', '>=', from ?? 0))
      .$if(to !== undefined, (query) => query.where('r.runNumber', '<=', to ?? 0))
      .orderBy('f.id', 'desc')
      .execute()
}

/** What happened to runs. */
export async function* listHistory(database: Database, filter: ListFilter) {
  const { tags, from, to } = filter
  for await (const { bottom, top, ids } of windowsOfRuns(database, 'runHistory', filter))
    yield await database
      .selectFrom('runHistory as h')
      .innerJoin('runs as r', 'r.id', 'h.runId')
      .select(['h.id', 'r.tag', 'r.runNumber', 'h.at', 'h.what', 'h.detail'])
      .where('h.id', '>=', bottom)
      .where('h.id', '<', top)
      .$if(ids !== null, (query) => query.where('h.runId', 'in', ids ?? []))
      .$if(tags !== '*', (query) => query.where('r.tag', 'in', tagList(tags)))
      .$if(from !== undefined, (query) => query.where('r.runNumber', '>=', from ?? 0))
      .$if(to !== undefined, (query) => query.where('r.runNumber', '<=', to ?? 0))
      .orderBy('h.id', 'desc')
      .execute()
}

/** Versions of objects that were notified or listed. Tag and run number are those of the key; null without. */
export async function* listArrivals(
  database: Database,
  { tags, after, from, to, states }: ListFilter & { readonly states?: readonly ArrivalState[] | undefined },
) {
  for await (const { bottom, top } of windows(database, 'arrivals', after)) {
    const rows = await database
      .selectFrom('arrivals')
      .select(ARRIVAL_FIELDS)
      .where('id', '>=', bottom)
      .where('id', '<', top)
      .$if(states !== undefined, (query) => query.where('state', 'in', states ?? []))
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
