/** What the webhook needs of the rest: handed in, so that it is tested without a database and a queue. */
import type { Logger } from '../../shared/log.ts'
import type { ObjectArrival } from '../../shared/notifications/arrival.ts'

export interface ArrivalLedger {
  /**
   * Writes a row for each arrival; one that is there already stays as it is. Resolves when they are
   * committed.
   */
  recordArrivals(arrivals: readonly ObjectArrival[], at: Date): Promise<void>
  /**
   * Keeps what was not understood for a human. The same body again makes no second copy: stores repeat
   * themselves.
   */
  park(body: string, reason: string): Promise<void>
}

export interface ArrivalQueue {
  /** Asks for the work on each arrival. Resolves when the queue has taken them all. */
  sendArrivals(arrivals: readonly ObjectArrival[]): Promise<void>
}

export interface WebhookPorts {
  readonly ledger: ArrivalLedger
  readonly queue: ArrivalQueue
  /** False for objects that no function works on: other buckets, pictures, single events. */
  concerns(arrival: ObjectArrival): boolean
  /** The shared secret of the stores; never empty. */
  readonly token: string
  /** Largest notification taken, bytes, compressed or not. */
  readonly bodyLimitBytes: number
  readonly log: Logger
  readonly now: () => Date
}
