/**
 * Arrivals that are not catalogued, waiting or refused, by the tag in their key. Without history, which waits
 * for days and is summarized when it was read.
 */
import type { Database } from '../database/connect.ts'
import { parseRunKey } from '../run.ts'

export interface Arriving {
  readonly count: number
  /** The time since which the oldest of them has been waiting. */
  readonly oldest: Date | null
  /** True when there are more than were counted. */
  readonly atLeast: boolean
}

export interface ArrivalsOfTag {
  readonly arriving: Arriving
  /** Objects that could not be catalogued. */
  readonly refused: number
}

/** Arrivals are counted one by one, up to this many. */
const MOST_ARRIVALS = 5000

export const NO_ARRIVALS: ArrivalsOfTag = { arriving: { count: 0, oldest: null, atLeast: false }, refused: 0 }

/** By tag, refused since then; under `null` those whose key has no tag. */
export async function openArrivals(
  database: Database,
  since: Date,
): Promise<ReadonlyMap<string | null, ArrivalsOfTag>> {
  const [waiting, refused] = await Promise.all([waitingArrivals(database), refusedArrivals(database, since)])
  const tags = new Set([...waiting.keys(), ...refused.keys()])
  return new Map(
    [...tags].map((tag) => [
      tag,
      { arriving: waiting.get(tag) ?? NO_ARRIVALS.arriving, refused: refused.get(tag)?.length ?? 0 },
    ]),
  )
}

async function waitingArrivals(database: Database): Promise<ReadonlyMap<string | null, Arriving>> {
  // Each state separately: both together cannot be read in the order of the index.
  const parts = await Promise.all(
    (['received', 'processing'] as const).map((state) =>
      database
        .selectFrom('arrivals')
        .select(['objectKey', 'state', 'attempts', 'reason', 'receivedAt', 'announcedAt'])
        .where('state', '=', state)
        .where('isHistory', '=', false)
        .orderBy('receivedAt')
        .limit(MOST_ARRIVALS)
        .execute(),
    ),
  )
  const atLeast = parts.some((rows) => rows.length === MOST_ARRIVALS)
  return new Map(
    [...byTag(parts.flat())].map(([tag, own]) => [
      tag,
      {
        count: own.length,
        oldest: new Date(Math.min(...own.map((row) => waitsSince(row).getTime()))),
        atLeast,
      },
    ]),
  )
}

interface Waits {
  readonly state: string
  readonly attempts: number
  readonly reason: string | null
  readonly receivedAt: Date
  readonly announcedAt: Date
}

/**
 * An arrival that is read again after it was done was received long ago, and has been waiting since it was
 * announced again: it has a reason without an attempt, or is being read. One that fails repeatedly is
 * announced repeatedly, and has been waiting since the first time.
 */
function waitsSince({ state, attempts, reason, receivedAt: received, announcedAt: announced }: Waits): Date {
  const isAgain = state === 'processing' || (attempts === 0 && reason !== null)
  return isAgain ? announced : received
}

const refusedArrivals = async (database: Database, since: Date) =>
  byTag(
    await database
      .selectFrom('arrivals')
      .select('objectKey')
      .where('state', 'in', ['invalid', 'failed'])
      .where('isHistory', '=', false)
      .where('receivedAt', '>=', since)
      .limit(MOST_ARRIVALS)
      .execute(),
  )

const byTag = <Row extends { readonly objectKey: string }>(rows: readonly Row[]) =>
  Map.groupBy(rows, (row) => parseRunKey(row.objectKey)?.tag ?? null)
