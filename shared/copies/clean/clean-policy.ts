/** When runs are deleted from the store by the configuration, and how full the store is. */

import type { Context } from '../../context.ts'
import type { Executor } from '../../database/connect.ts'
import { bytesInStore } from './clean-candidates.ts'

export interface CleanPolicy {
  /** Null: no run is deleted for its age. */
  readonly afterDays: number | null
  /** Null: no capacity is configured, so no run is deleted for lack of space. */
  readonly room: StoreUsage | null
  /** Files of runs that one run of the cleaner deletes at most. */
  readonly mostFiles: number
  /** Null: no copy can be verified, so no run may be deleted. */
  readonly tapeEndpoint: string | null
}

export interface StoreUsage {
  readonly usedBytes: number
  readonly capacityBytes: number
  /** Above this the oldest runs are deleted early, */
  readonly highBytes: number
  /** down to this. */
  readonly lowBytes: number
}

export async function cleanPolicy({
  config,
  database,
  tape,
}: Context<'database' | 'tape'>): Promise<CleanPolicy> {
  return {
    afterDays: config.clean.runsAfterDays ?? null,
    room: await storeUsage(database, config),
    mostFiles: config.clean.mostRuns,
    tapeEndpoint: tape?.endpoint ?? null,
  }
}

/** Null when no capacity is configured. */
export async function storeUsage(executor: Executor, config: Context['config']): Promise<StoreUsage | null> {
  const { capacityBytes, highWater, lowWater } = config.clean
  if (capacityBytes === undefined) return null
  const highBytes = capacityBytes * highWater
  // A low-water mark above the high one counts as the high one.
  const lowBytes = Math.min(capacityBytes * lowWater, highBytes)
  return { usedBytes: await bytesInStore(executor), capacityBytes, highBytes, lowBytes }
}

export const isTooFull = (room: StoreUsage | null): room is StoreUsage =>
  room !== null && room.usedBytes > room.highBytes
