/**
 * What a function is to the hosts that run it: Lambda's own events, and with every call a signal and a log.
 */
import type { ScheduledEvent, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import type { Logger } from '../log.ts'

/** Handed over with every call. */
export interface Invocation {
  /**
   * Aborts when the host's time limit is reached or the host must stop: end what waits, and throw or report
   * failure.
   */
  readonly signal: AbortSignal
  /** Carries the fields of this call (message, attempt). */
  readonly log: Logger
}

/**
 * Works on messages of a queue. Those in `batchItemFailures` (and all of them when it throws) are delivered
 * again later, then dead-lettered; the others are deleted. So it returns only after the effects are
 * committed.
 */
export type QueueHandler = (event: SQSEvent, invocation: Invocation) => Promise<SQSBatchResponse>

/** Runs at the times of its schedule in serverless.yml, never twice at once on one host. */
export type ScheduleHandler = (event: ScheduledEvent, invocation: Invocation) => Promise<void>

/** What the host of an HTTP function says with each request; hono has it as `c.env`. */
export interface HostOfRequest {
  /**
   * Aborts when the host begins to end. Requests go on; an answer that would last (a stream of events) ends
   * by itself then, and whoever reads it comes again elsewhere. Absent where the host hands on answers only
   * as a whole.
   */
  readonly ending?: AbortSignal
  /** Of the other end of the connection, which may be a proxy's. */
  readonly clientAddress?: string | undefined
}

/** Answers HTTP requests: any hono app is one. */
export interface HttpApp {
  fetch(request: Request, host?: HostOfRequest): Response | Promise<Response>
}
