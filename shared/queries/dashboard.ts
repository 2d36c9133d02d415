/** Where the data of every tag is, by the day on which it was taken. */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { StorageSummary } from '../database/storage-summary.ts'
import type { VisibleTags } from './site-state.ts'

/**
 * The data taken by one tag on one day (UTC), and the volume of verified copies of the files that count by
 * place, bytes.
 */
export interface DayOfTag {
  readonly tag: string
  /** `2026-01-15` */
  readonly day: string
  readonly runs: number
  readonly takenBytes: number
  readonly localBytes: number
  readonly cloudBytes: number
  readonly tapeBytes: number
}

/** Newest first; days without runs are omitted. */
export async function storageByDay(
  database: Database,
  tags: VisibleTags,
  since: Date,
): Promise<readonly DayOfTag[]> {
  const day = sql<string>`DATE_FORMAT(runs.started_at, '%Y-%m-%d')`
  const rows = await database
    .selectFrom('runs')
    .innerJoin('runFiles as f', (join) =>
      join.onRef('f.runId', '=', 'runs.id').on('f.isLive', '=', true).on('f.counts', '=', true),
    )
    .select([
      'runs.tag',
      day.as('day'),
      sql<number>`COUNT(DISTINCT runs.id)`.as('runs'),
      sql<number>`SUM(f.size_bytes)`.as('takenBytes'),
      sql<number>`SUM(IF(${hasCopy('local', 'present')}, f.size_bytes, 0))`.as('localBytes'),
      sql<number>`SUM(IF(${hasCopy('cloud', 'present')}, f.size_bytes, 0))`.as('cloudBytes'),
      sql<number>`SUM(IF(${hasCopy('tape', 'on-media')}, f.size_bytes, 0))`.as('tapeBytes'),
    ])
    .where('runs.isCurrent', '=', true)
    .where('runs.startedAt', '>=', since)
    .$if(tags !== '*', (query) =>
      query.where('runs.tag', 'in', tags.length === 0 ? [''] : (tags as readonly string[])),
    )
    .groupBy(['runs.tag', day])
    .orderBy('day', 'desc')
    .orderBy('runs.tag')
    .execute()
  return rows.map(({ tag, day: of, ...amounts }) => ({
    tag,
    day: of,
    runs: Number(amounts.runs),
    takenBytes: Number(amounts.takenBytes),
    localBytes: Number(amounts.localBytes),
    cloudBytes: Number(amounts.cloudBytes),
    tapeBytes: Number(amounts.tapeBytes),
  }))
}

/** The runs of a tag whose copies are in the same states. */
export interface RunsByPlace extends Pick<StorageSummary, 'cloud' | 'tape'> {
  readonly tag: string
  readonly runs: number
  readonly sizeBytes: number
}

/** All catalogued data, by tag and place. Scans an index of all runs: about half a second for a million. */
export async function runsByPlace(database: Database): Promise<readonly RunsByPlace[]> {
  const rows = await database
    .selectFrom('runs')
    .select([
      'tag',
      'cloud',
      'tape',
      sql<number>`COUNT(*)`.as('runs'),
      sql<number>`SUM(size_bytes)`.as('sizeBytes'),
    ])
    .where('isCurrent', '=', true)
    .groupBy(['tag', 'tape', 'cloud'])
    .execute()
  return rows.map((row) => ({ ...row, runs: Number(row.runs), sizeBytes: Number(row.sizeBytes) }))
}

/** Whether a verified copy with the current contents exists. */
const hasCopy = (kind: 'local' | 'cloud' | 'tape', state: 'present' | 'on-media') =>
  sql`EXISTS (SELECT 1 FROM replicas p WHERE p.run_id = f.run_id AND p.kind = ${kind} AND p.state = ${state}
    AND p.bucket = f.bucket AND p.object_key = f.object_key AND p.sha256 = f.sha256)`
