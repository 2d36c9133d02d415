/** Two alerts a tag in place of one for each object of its history: when it is found, and when it was read. */
import { sql } from 'kysely'
import { historyByTag, takeOverTimes } from '../catalogue/take-over.ts'
import type { Context } from '../context.ts'
import type { Database } from '../database/connect.ts'
import { addRequests, type Request } from '../work/outbox.ts'
import { alert } from '../work/raise-alert.ts'
import { sendRequests } from '../work/send-requests.ts'
import { causeOfTag, namedTag, ofTag } from './held-tags.ts'

/** Alerts once for each tag and take-over time. */
export async function summarizeHistory(
  context: Context<'database' | 'queues'>,
  signal: AbortSignal,
): Promise<void> {
  const { database, log } = context
  const takeOverOf = await takeOverTimes(database)
  if (!(await isHistoryOpen(database, takeOverOf))) return
  const alerts: Request[] = []
  for (const history of await historyByTag(database)) {
    const { tag, objects } = history
    const since = statedTime(takeOverOf(tag))
    if (since === null) continue
    const found = `${objects} objects of ${namedTag(tag)} are older than its take-over time ${since}: they are catalogued as history, after all new runs, and no copy on tape and no reconstruction of them is requested until \`cygnet adopt --history\``
    const about = { severity: 'info', ...ofTag(tag), cause: causeOfTag(tag, since) } as const
    alerts.push(alert({ rule: 'history-found', ...about, summary: found, facts: { objects } }))
    if (history.waiting > 0) continue
    const counts = { ...history, ...(await wrongFiles(database, tag)) }
    log.info(counts, 'history-catalogued')
    const read = `all ${objects} objects of ${namedTag(tag)} that are older than its take-over time ${since} were read: ${counts.invalid} invalid, ${counts.failed} not readable yet, ${counts.incomplete} files incomplete, ${counts.mismatches} with a checksum that disagrees, ${counts.twins} with the bytes of another run`
    const { tag: _, waiting: __, ...facts } = counts
    alerts.push(alert({ rule: 'history-catalogued', ...about, summary: read, facts }))
  }
  await addRequests(database, alerts, context.now())
  await sendRequests(context, alerts, signal)
}

/** Whether history waits to be read, or was read and not summarized: all of it is counted only then. */
async function isHistoryOpen(database: Database, takeOverOf: (tag: string) => Date | null): Promise<boolean> {
  const waiting = await database
    .selectFrom('arrivals')
    .select('id')
    .where('isHistory', '=', true)
    .where('state', 'in', ['received', 'processing'])
    .limit(1)
    .executeTakeFirst()
  if (waiting !== undefined) return true
  const sent = await database.selectFrom('outbox').select('name').where('name', 'like', `${NAME}%`).execute()
  const names = new Set(sent.map(({ name }) => name))
  const withRuns = await database.selectFrom('runs').select('tag').distinct().execute()
  const found = sent.flatMap(({ name }) => FOUND.exec(name)?.[1] ?? [])
  for (const tag of new Set([...found, ...withRuns.map((row) => row.tag)])) {
    const since = statedTime(takeOverOf(tag))
    if (since === null || names.has(`${NAME}catalogued:${tag}:${since}`)) continue
    // It may have come as live notifications, or was summarized for another time before.
    if (names.has(`${NAME}found:${tag}:${since}`) || (await hasHistory(database, tag))) return true
  }
  return false
}

const NAME = 'alert:history-'
const FOUND = /^alert:history-found:(.*):\d{4}-\d\d-\d\dT/

/** Null when the tag has no history: all of it is adopted, or it has no take-over time. */
const statedTime = (since: Date | null) =>
  since === null || since.getTime() === 0 ? null : since.toISOString()

async function hasHistory(database: Database, tag: string): Promise<boolean> {
  const run = await database
    .selectFrom('runs')
    .select('id')
    .where('tag', '=', tag)
    .where('isHistory', '=', true)
    .limit(1)
    .executeTakeFirst()
  return run !== undefined
}

async function wrongFiles(database: Database, tag: string) {
  const counts = await database
    .selectFrom('runFiles')
    .innerJoin('runs', 'runs.id', 'runFiles.runId')
    .select([
      sql<number | null>`SUM(NOT run_files.complete)`.as('incomplete'),
      sql<number | null>`SUM(run_files.integrity = 'mismatch')`.as('mismatches'),
      sql<number | null>`SUM(EXISTS (SELECT 1 FROM run_files twin JOIN runs other ON other.id = twin.run_id
        WHERE twin.sha256 = run_files.sha256 AND twin.is_live = 1
          AND (other.tag != runs.tag OR other.run_number != runs.run_number)))`.as('twins'),
    ])
    .where('runFiles.isHistory', '=', true)
    .where('runFiles.isLive', '=', true)
    .where('runs.tag', '=', tag)
    .executeTakeFirstOrThrow()
  const { incomplete, mismatches, twins } = counts
  return {
    incomplete: Number(incomplete ?? 0),
    mismatches: Number(mismatches ?? 0),
    twins: Number(twins ?? 0),
  }
}
