/**
 * Who is asked to bring runs back: the catalogue's API, or the catalogue itself for who has its credentials.
 */
import type { RunId } from '../../shared/run.ts'
import type { ShownReplica } from '../runs/run-shapes.ts'

export interface RecallWish {
  readonly runNumber: number
  readonly tag: string | undefined
  /** How long it is to stay; undefined for what the service is set to. */
  readonly days: number | undefined
}

export interface RecallSource {
  /**
   * @throws InvalidInputError when there is no such run, its tag must be said, who asks may not, or a file of
   * it can be had nowhere.
   */
  request(wish: RecallWish, signal: AbortSignal): Promise<AskedRecall>
}

export interface AskedRecall {
  readonly run: RunId
  /** How far each file is now. */
  look(signal: AbortSignal): Promise<readonly ShownReplica[]>
}
