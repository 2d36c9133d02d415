/** What the cleaner did to runs. */
import type { RunId } from '../../run.ts'
export interface CleanedFile extends RunId {
  readonly key: string
  readonly sizeBytes: number
  /** Why it was deleted, or why it is kept. */
  readonly reason: string
}

export interface CleanedRuns {
  readonly deleted: readonly CleanedFile[]
  readonly refused: readonly CleanedFile[]
  /** The store, the endpoint or the database did not answer; the next run of the cleaner tries again. */
  readonly failed: readonly CleanedFile[]
  readonly deletedBytes: number
  /** More files were due than one run of the cleaner deletes. */
  readonly capReached: boolean
  /** Still above the high-water mark, and nothing more may be deleted. */
  readonly storeIsFull: boolean
}
