/** Reading the catalogue: one run with all its details. Lists are in search-runs.ts. */

import { refusedFilesOf } from '../catalogue/arrivals.ts'
import { recallsOfRuns } from '../catalogue/recalls.ts'
import { replicasOfRun } from '../catalogue/replicas.ts'
import type { Database } from '../database/connect.ts'
import type { ShownCopy } from '../database/replica-schema.ts'
import type { Arrival, Run, RunFile } from '../database/schema.ts'
import { type StorageSummary, summarizeStorage } from '../database/storage-summary.ts'
import { type Alert, alertsOfRun } from './alerts.ts'

/** Every generation of a run number, in all tags unless one is named; the current one of a tag first. */
export async function findRuns(
  database: Database,
  run: { readonly runNumber: number; readonly tag?: string | undefined },
): Promise<readonly Run[]> {
  return await database
    .selectFrom('runs')
    .selectAll()
    .where('runNumber', '=', run.runNumber)
    .$if(run.tag !== undefined, (query) => query.where('tag', '=', run.tag as string))
    .orderBy('tag')
    .orderBy('isCurrent', 'desc')
    .orderBy('startedEpoch', 'desc')
    .execute()
}

/**
 * The recorded arrivals of a run's files, catalogued or not, newest first, with refused objects whose names
 * resemble the run. Without a tag the whole table is read, which is for operators only.
 */
export async function findArrivalsOfRun(
  database: Database,
  run: { readonly runNumber: number; readonly tag?: string | undefined },
  limit?: number,
): Promise<readonly Arrival[]> {
  const [named, refused] = await Promise.all([
    findArrivalsByName(database, run, limit),
    refusedFilesOf(database, run),
  ])
  const byId = new Map([...named, ...refused].map((arrival) => [arrival.id, arrival]))
  return [...byId.values()].toSorted((a, b) => b.id - a.id).slice(0, limit)
}

async function findArrivalsByName(
  database: Database,
  run: { readonly runNumber: number; readonly tag?: string | undefined },
  limit?: number,
): Promise<readonly Arrival[]> {
  const { runNumber, tag } = run
  const arrivals = database.selectFrom('arrivals').selectAll().orderBy('id', 'desc')
  const some = limit === undefined ? arrivals : arrivals.limit(limit)
  if (tag === undefined)
    return await some.where('objectKey', 'regexp', `/run0*${runNumber}((sub|_)[0-9]+)?[.]mid`).execute()
  const buckets = await bucketsOfLedger(database)
  if (buckets.length === 0) return []
  const found = await some
    .where('bucket', 'in', buckets)
    .where((where) =>
      where.or(
        keyRanges(tag, runNumber).map(([from, to]) =>
          where.and([where('objectKey', '>=', from), where('objectKey', '<', to)]),
        ),
      ),
    )
    .execute()
  return found.filter(({ objectKey: key }) =>
    /^run[0-9]+((sub|_)[0-9]+)?[.]mid[^/]*$/.test(key.slice(tag.length + 1)),
  )
}

/** Each bucket is found by one step in the index by_object, which begins with the bucket. */
export async function bucketsOfLedger(database: Database): Promise<readonly string[]> {
  const buckets: string[] = []
  for (let last: string | null = ''; ; ) {
    const row = await database
      .selectFrom('arrivals')
      .select((select) => select.fn.min('bucket').as('bucket'))
      .where('bucket', '>', last)
      .executeTakeFirst()
    last = row?.bucket ?? null
    if (last === null) return buckets
    buckets.push(last)
  }
}

const LONGEST_NUMBER = 10

/**
 * The ranges of keys of a run's files in an index, for any padding of its number: `LNGS/run00012.` to
 * `LNGS/run00012/`.
 */
export function keyRanges(tag: string, runNumber: number): readonly (readonly [from: string, to: string])[] {
  const shortest = String(runNumber).length
  return Array.from(
    { length: LONGEST_NUMBER - shortest + 1 },
    (_, zeros) => `${tag}/run${'0'.repeat(zeros)}${runNumber}`,
  ).flatMap((name) => [
    [`${name}.`, `${name}/`] as const,
    [`${name}sub`, `${name}suc`] as const,
    [`${name}_`, `${name}\``] as const,
  ])
}

export interface RunDetails {
  readonly run: Run
  /** Live files first, those that count before the others, then replaced versions. */
  readonly files: readonly RunFile[]
  /** Objects whose names state or resemble this run, and that could not be read, newest first. */
  readonly refused: readonly Arrival[]
  readonly banks: readonly { readonly bank: string; readonly count: number; readonly bytes: number }[]
  readonly events: readonly {
    readonly eventId: number
    readonly events: number
    readonly serialGaps: number
  }[]
  readonly requests: readonly {
    readonly queue: string
    readonly name: string
    readonly createdAt: Date
    readonly sentAt: Date | null
  }[]
  /** About the run and its files, newest first, also those that have ended. */
  readonly alerts: readonly Alert[]
  /** In the order in which they became known; then recalls. */
  readonly replicas: readonly ShownCopy[]
  /** Where the run is, for its current contents. */
  readonly storage: StorageSummary
  readonly history: readonly { readonly at: Date; readonly what: string; readonly detail: string }[]
}

/** All details of one generation of a run number; banks and events are summed over the files that count. */
export async function describeRun(database: Database, run: Run): Promise<RunDetails> {
  const [files, requests, history, replicas, recalls, refused, alerts] = await Promise.all([
    database
      .selectFrom('runFiles')
      .selectAll()
      .where('runId', '=', run.id)
      .orderBy('isLive', 'desc')
      .orderBy('counts', 'desc')
      .orderBy('subrun')
      .orderBy('id', 'desc')
      .execute(),
    database
      .selectFrom('outbox')
      .select(['queue', 'name', 'createdAt', 'sentAt'])
      .where('runId', '=', run.id)
      .orderBy('id')
      .execute(),
    database
      .selectFrom('runHistory')
      .select(['at', 'what', 'detail'])
      .where('runId', '=', run.id)
      .orderBy('id')
      .execute(),
    replicasOfRun(database, run.id),
    recallsOfRuns(database, [run.id]),
    run.isCurrent ? refusedFilesOf(database, run) : [],
    alertsOfRun(database, run),
  ])
  const counting = files.filter((file) => file.isLive && file.counts)
  const storage = summarizeStorage(counting, replicas)
  return {
    run,
    files,
    refused,
    banks: sumBanks(counting),
    events: sumEvents(counting),
    requests,
    alerts,
    replicas: [...replicas, ...recalls],
    storage,
    history,
  }
}

function sumBanks(files: readonly RunFile[]): RunDetails['banks'] {
  const all = files.flatMap((file) =>
    Object.entries(file.banks).map(([bank, statistics]) => ({ bank, ...statistics })),
  )
  return [...Map.groupBy(all, (row) => row.bank)]
    .map(([bank, rows]) => ({
      bank,
      count: sum(rows.map((row) => row.count)),
      bytes: sum(rows.map((row) => row.bytes)),
    }))
    .toSorted((a, b) => (a.bank < b.bank ? -1 : 1))
}

function sumEvents(files: readonly RunFile[]): RunDetails['events'] {
  const ids = new Set(files.flatMap((file) => Object.keys(file.eventsById)))
  return [...ids]
    .map((id) => ({
      eventId: Number(id),
      events: sum(files.map((file) => file.eventsById[id] ?? 0)),
      serialGaps: sum(files.map((file) => file.serialGaps[id] ?? 0)),
    }))
    .toSorted((a, b) => a.eventId - b.eventId)
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
