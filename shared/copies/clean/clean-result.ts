/** What the cleaner did to runs. */
import type { RunId } from '../../run.ts'
export interface CleanedFile extends RunId {
  readonly key: string
  readonly sizeBytes: number
  /** Why it went, or why it stays. */
  readonly reason: string
}

export interface CleanedRuns {
  readonly deleted: readonly CleanedFile[]
  readonly refused: readonly CleanedFile[]
  /** Something did not answer; they are tried again by the next run of the cleaner. */
  readonly failed: readonly CleanedFile[]
  readonly deletedBytes: number
  /** More was due than one run of the cleaner deletes. */
  readonly capReached: boolean
  /** Still fuller than it should be, and nothing more may be deleted. */
  readonly storeIsFull: boolean
}
