/** What a watch is asked to do. */
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
  /** What stays on the disk in any case; null when nothing is ever deleted. */
  readonly deletion: KeepPolicy | null
  /** One pass instead of going on for ever. */
  readonly once: boolean
}
