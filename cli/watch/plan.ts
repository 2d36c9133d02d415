/**
 * Which file goes next, and when one that failed goes again.
 *
 * Two files are sent at a time, by two lanes. One always takes the newest: shifters look at what was measured
 * just now. The other always takes the oldest: however much comes in, the backlog gets half of the line and
 * shrinks from the end that the disk needs most. While there is no backlog both serve live data, and the
 * other way round.
 */
import { backOffMs } from '../../shared/time/back-off.ts'
import { compareRuns, type RunFileFound } from './scan.ts'

export const LANES = ['newest', 'oldest'] as const
export type Lane = (typeof LANES)[number]

/**
 * By the last write: numbers start again when a DAQ is set up anew. Files of one moment go by their numbers.
 */
const byAge = (a: RunFileFound, b: RunFileFound) =>
  a.mtimeNs === b.mtimeNs ? compareRuns(a.run, b.run) : a.mtimeNs < b.mtimeNs ? -1 : 1

export function chooseNext<T extends { readonly file: RunFileFound }>(
  waiting: readonly T[],
  lane: Lane,
): T | null {
  const better = (a: T, b: T) => (lane === 'newest' ? byAge(a.file, b.file) > 0 : byAge(a.file, b.file) < 0)
  return waiting.reduce<T | null>((best, one) => (best === null || better(one, best) ? one : best), null)
}

const MINUTE_MS = 60_000

/**
 * While the store or the network fails: seconds first, so that a short failure costs little; then every few
 * minutes for days.
 */
export const storeBackOffMs = (failures: number, random: () => number) =>
  backOffMs(failures, { firstMs: 2_000, maxMs: 5 * MINUTE_MS, random })

/**
 * A file that cannot be sent as it is: looked at again, since people mend such things, but not all the time.
 */
export const fileBackOffMs = (failures: number, random: () => number) =>
  backOffMs(failures, { firstMs: 30_000, maxMs: 60 * MINUTE_MS, random })

/** A file that is not safe to delete yet. */
export const safetyBackOffMs = (asked: number, random: () => number) =>
  backOffMs(asked, { firstMs: 10 * MINUTE_MS, maxMs: 120 * MINUTE_MS, random })
