/** The request of a watch. */
import type { Limits } from './closed.ts'
import type { KeepPolicy } from './keep.ts'

export interface WatchRequest {
  /** Absolute. */
  readonly folder: string
  readonly tag: string
  /** Null: the store's first bucket of runs. */
  readonly bucket: string | null
  readonly limits: Limits
  readonly partSizeBytes: number
  /** Parts of a file sent at once. */
  readonly concurrency: number
  /** The files that are kept in any case; null when no file is deleted. */
  readonly deletion: KeepPolicy | null
  /** A single pass instead of an endless watch. */
  readonly once: boolean
}
