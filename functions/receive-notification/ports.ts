/** The ports of the webhook, so that it can be tested without a database and a queue. */
import type { Logger } from '../../shared/log.ts'
import type { ObjectArrival } from '../../shared/notifications/arrival.ts'
import type { RefusalCount } from '../../shared/runtime/refusals.ts'

export interface ArrivalLedger {
  /**
   * Writes a row for each arrival; an existing row is not changed. Resolves when they are committed.
   */
  recordArrivals(arrivals: readonly ObjectArrival[], at: Date): Promise<void>
  /** Notes the arrivals of test objects (`cygnet notifications test`), which are no runs. */
  noteTests(arrivals: readonly ObjectArrival[]): Promise<void>
  /**
   * Keeps a notification that could not be parsed for people to inspect. A repeated body is kept once.
   */
  park(body: string, reason: string): Promise<void>
}

export interface ArrivalQueue {
  /** Sends a message for each arrival. Resolves when the queue has accepted them all. */
  sendArrivals(arrivals: readonly ObjectArrival[]): Promise<void>
}

export interface WebhookPorts {
  readonly ledger: ArrivalLedger
  readonly queue: ArrivalQueue
  /** False for objects that no function works on: other buckets, pictures, single events. */
  concerns(arrival: ObjectArrival): boolean
  /** The shared secret of the stores; never empty. */
  readonly token: string
  /** Largest notification accepted, bytes, compressed or not. */
  readonly bodyLimitBytes: number
  /** The sender's address, from that of the connection and X-Forwarded-For; null where it is not known. */
  addressOf(connection: string | undefined, forwardedFor: string | undefined): string | null
  /** Counts refused notifications of all processes, and alerts people of those that are repeated. */
  noteRefusals(refusals: RefusalCount): Promise<void>
  readonly log: Logger
  readonly now: () => Date
}
