/** When runs leave the store by the configuration, and how full it is. */
import type { Context } from '../../context.ts'
import { bytesInStore } from './clean-candidates.ts'

export interface CleanPolicy {
  /** Null: age alone deletes nothing. */
  readonly afterDays: number | null
  /** Null: fullness deletes nothing, and nobody has said how much there may be. */
  readonly room: StoreRoom | null
  /** Files of runs that one run of the cleaner deletes at most. */
  readonly mostFiles: number
  /** Null: no copy can be verified, so nothing may go. */
  readonly tapeEndpoint: string | null
}

export interface StoreRoom {
  readonly usedBytes: number
  readonly capacityBytes: number
  /** Above it the oldest leave before their time, */
  readonly highBytes: number
  /** until this. */
  readonly lowBytes: number
}

export async function cleanPolicy({
  config,
  database,
  tape,
}: Context<'database' | 'tape'>): Promise<CleanPolicy> {
  return {
    afterDays: config.clean.runsAfterDays ?? null,
    room: await roomInStore(),
    mostFiles: config.clean.mostRuns,
    tapeEndpoint: tape?.endpoint ?? null,
  }

  async function roomInStore(): Promise<StoreRoom | null> {
    const capacityBytes = config.clean.capacityBytes
    if (capacityBytes === undefined) return null
    const highBytes = capacityBytes * config.clean.highWater
    // A low-water mark above the high one is taken for it.
    const lowBytes = Math.min(capacityBytes * config.clean.lowWater, highBytes)
    return { usedBytes: await bytesInStore(database), capacityBytes, highBytes, lowBytes }
  }
}

export const isTooFull = (room: StoreRoom | null): room is StoreRoom =>
  room !== null && room.usedBytes > room.highBytes
