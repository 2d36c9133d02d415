/**
 * Chooses the next file to send, and the time of the next attempt after a failure.
 *
 * Two workers send two files at a time. One always takes the newest file, since shifters need the latest data.
 * The other always takes the oldest: whatever the rate of new files, the backlog gets half of the bandwidth, and
 * the oldest files can be deleted first. Without a backlog both send live data, and without live data both send
 * the backlog.
 */
import { backOffMs } from '../../shared/time/back-off.ts'
import { compareRuns, type RunFileFound } from './scan.ts'

export const WORKERS = ['newest', 'oldest'] as const
export type Worker = (typeof WORKERS)[number]

/**
 * By the last write, since run numbers may start again after a new setup of the DAQ; at equal times by number.
 */
const byAge = (a: RunFileFound, b: RunFileFound) =>
  a.mtimeNs === b.mtimeNs ? compareRuns(a.run, b.run) : a.mtimeNs < b.mtimeNs ? -1 : 1

export function chooseNext<T extends { readonly file: RunFileFound }>(
  waiting: readonly T[],
  worker: Worker,
): T | null {
  const better = (a: T, b: T) => (worker === 'newest' ? byAge(a.file, b.file) > 0 : byAge(a.file, b.file) < 0)
  return waiting.reduce<T | null>((best, one) => (best === null || better(one, best) ? one : best), null)
}

const MINUTE_MS = 60_000

/**
 * For failures of the store or the network: seconds at first, so that a short failure costs little; later a few
 * minutes, for days.
 */
export const storeBackOffMs = (failures: number, random: () => number) =>
  backOffMs(failures, { firstMs: 2_000, maxMs: 5 * MINUTE_MS, random })

/**
 * For a file that cannot be sent: checked again from time to time, since people may repair it.
 */
export const fileBackOffMs = (failures: number, random: () => number) =>
  backOffMs(failures, { firstMs: 30_000, maxMs: 60 * MINUTE_MS, random })

/** For a file that is not safe to delete yet. */
export const safetyBackOffMs = (attempts: number, random: () => number) =>
  backOffMs(attempts, { firstMs: 10 * MINUTE_MS, maxMs: 120 * MINUTE_MS, random })
