/** What a person means who enters a run number, a tag or an object key: the runs and tags that match. */
import type { Database } from '../database/connect.ts'
import { isTag, LARGEST_RUN_NUMBER, parseRunKey, type RunId } from '../run.ts'
import { arrivedFilesOf } from './not-catalogued.ts'
import { bucketsOfLedger } from './runs.ts'
import { tagsWithRuns, type VisibleTags } from './site-state.ts'

export type JumpTarget =
  | { readonly kind: 'tag'; readonly tag: string }
  /** `startedAt` is null when it is unknown, or when the run is not catalogued and only files arrived. */
  | ({ readonly kind: 'run'; readonly isCatalogued: boolean; readonly startedAt: Date | null } & RunId)

/** A possible meaning of a text. Several may apply: `FLASH/2024` is a tag, and run 2024 of FLASH. */
interface Meanings {
  /** A number without a tag. */
  readonly runNumber: number | null
  readonly runs: readonly RunId[]
  readonly keys: readonly string[]
}

/** Tags whose arrivals are searched for a number that is not catalogued. */
const MOST_TAGS = 20
const MOST_TARGETS = 50

/**
 * Matching runs and tags, the most specific first; empty when nothing matches.
 *
 * @param tag the chosen tag, whose runs are meant by a number that it has.
 */
export async function findJumpTargets(
  database: Database,
  text: string,
  visible: VisibleTags,
  tag: string | null,
): Promise<readonly JumpTarget[]> {
  const wanted = text.trim()
  if (wanted === '') return []
  const tags = await tagsWithRuns(database, visible)
  const { runNumber, runs, keys } = meaningsOf(wanted)
  const ofFile = await runsOfFiles(database, keys, visible)
  if (ofFile.length > 0) return ofFile
  const named = runs
    .map((run) => ({ ...run, tag: tags.find((each) => isSame(each, run.tag)) ?? run.tag }))
    .filter((run) => visible === '*' || visible.includes(run.tag))
  const numbered = runNumber === null ? [] : tags.map((each) => ({ tag: each, runNumber }))
  const found = await cataloguedRuns(database, [...named, ...numbered])
  const chosen = found.filter((run) => runNumber !== null && run.tag === tag)
  if (chosen.length > 0) return chosen
  const same = tags.filter((each) => isSame(each, wanted))
  const exact = [...same.map((each) => ({ kind: 'tag', tag: each }) as const), ...found]
  if (exact.length > 0) return exact.slice(0, MOST_TARGETS)
  const arrived = await arrivedRuns(database, [...named, ...numbered.slice(0, MOST_TAGS)])
  if (arrived.length > 0) return arrived
  return tags
    .filter((each) => each.toLowerCase().includes(wanted.toLowerCase()))
    .slice(0, MOST_TARGETS)
    .map((each) => ({ kind: 'tag', tag: each }))
}

const isSame = (one: string, other: string) => one.toLowerCase() === other.toLowerCase()

/** `12345`, `run12345.mid.gz`, `LNGS 12345`, `run 12345 of LNGS`, `LNGS/run12345.mid.gz`, `s3://bucket/LNGS/…` */
function meaningsOf(text: string): Meanings {
  const key = text.replace(/^s3:\/\//i, '')
  const keys = key.includes('/') ? [key, key.slice(key.indexOf('/') + 1)] : []
  const [, number] = /^(?:run\s*)?0*(\d{1,10})(?:(?:sub|_)\d+)?(?:\.mid\S*)?$/i.exec(text) ?? []
  const [, before, after] = /^(.+?)(?:\s*[\s/:#,]\s*)(?:run\s*)?(\d{1,10})$/i.exec(text) ?? []
  const [, of, place] = /^(?:run\s*)?(\d{1,10})\s+(?:of|at|in)\s+(.+)$/i.exec(text) ?? []
  const runs = [
    ...keys.flatMap((each) => parseRunKey(each) ?? []),
    ...(before !== undefined && !/^run$/i.test(before) ? [{ tag: before, runNumber: Number(after) }] : []),
    ...(place !== undefined ? [{ tag: place, runNumber: Number(of) }] : []),
  ].map(({ tag, runNumber }) => ({ tag, runNumber }))
  return {
    runNumber: number !== undefined && Number(number) <= LARGEST_RUN_NUMBER ? Number(number) : null,
    runs: runs.filter(({ tag, runNumber }) => isTag(tag) && runNumber <= LARGEST_RUN_NUMBER),
    keys,
  }
}

async function runsOfFiles(
  database: Database,
  keys: readonly string[],
  visible: VisibleTags,
): Promise<readonly JumpTarget[]> {
  const buckets = keys.length === 0 ? [] : await bucketsOfLedger(database)
  if (buckets.length === 0) return []
  const rows = await database
    .selectFrom('runFiles')
    .innerJoin('runs', 'runs.id', 'runFiles.runId')
    .select(['runs.tag', 'runs.runNumber', 'runs.startedAt'])
    .distinct()
    .where('runFiles.bucket', 'in', buckets)
    .where('runFiles.objectKey', 'in', keys)
    .where('runFiles.isLive', '=', true)
    .limit(MOST_TARGETS)
    .execute()
  return rows
    .filter(({ tag }) => visible === '*' || visible.includes(tag))
    .map((row) => ({ kind: 'run', isCatalogued: true, ...row }))
}

async function cataloguedRuns(database: Database, runs: readonly RunId[]) {
  if (runs.length === 0) return []
  const rows = await database
    .selectFrom('runs')
    .select(['tag', 'runNumber', 'startedAt'])
    .where('isCurrent', '=', true)
    .where((where) => where.or(runs.map(({ tag, runNumber }) => where.and({ tag, runNumber }))))
    .orderBy('startedAt', 'desc')
    .limit(MOST_TARGETS)
    .execute()
  return rows.map((row) => ({ kind: 'run', isCatalogued: true, ...row }) as const)
}

async function arrivedRuns(database: Database, runs: readonly RunId[]): Promise<readonly JumpTarget[]> {
  const files = await Promise.all(runs.map((run) => arrivedFilesOf(database, run)))
  return runs
    .filter((_, index) => (files[index]?.length ?? 0) > 0)
    .map(({ tag, runNumber }) => ({ kind: 'run', isCatalogued: false, startedAt: null, tag, runNumber }))
}
