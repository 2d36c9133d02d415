/**
 * The interface between functions and their hosts: Lambda's own events, and with every call a signal and a log.
 */
import type { ScheduledEvent, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import type { Logger } from '../log.ts'

/** Passed with every call. */
export interface Invocation {
  /**
   * Aborts when the host's time limit is reached or the host must stop: end waiting operations, and throw or
   * report failure.
   */
  readonly signal: AbortSignal
  /** Has the fields of this call (message, attempt). */
  readonly log: Logger
  /**
   * On a host that begins no run of a schedule during another: permits the next one to begin at its time, because the
   * handler leaves out what is still in progress (each-part.ts). Absent where runs are concurrent anyway.
   */
  readonly allowNext?: () => void
}

/**
 * Processes messages of a queue. Those in `batchItemFailures` (and all of them when it throws) are delivered
 * again later, then dead-lettered; the others are deleted. So it must return only after the effects are
 * committed.
 */
export type QueueHandler = (event: SQSEvent, invocation: Invocation) => Promise<SQSBatchResponse>

/** Runs at the times of its schedule in serverless.yml, never two at once on one host unless it calls `allowNext`. */
export type ScheduleHandler = (event: ScheduledEvent, invocation: Invocation) => Promise<void>

/** What the host of an HTTP function provides with each request; in hono it is `c.env`. */
export interface HostOfRequest {
  /**
   * Aborts when the host begins to shut down. Requests continue; a long answer (a stream of events) ends by
   * itself, and its client reconnects elsewhere. Absent where the host returns only complete answers.
   */
  readonly ending?: AbortSignal
  /** Aborts when the request was answered without waiting for the app: its work is of no use any more. */
  readonly timedOut?: AbortSignal
  /** Address of the other end of the connection, which may be a proxy. */
  readonly clientAddress?: string | undefined
  /** The request is being refused: a host that is ending does not wait for it, nor for a sender that repeats it. */
  readonly refuse?: () => void
}

/** Serves HTTP requests: any hono app does. */
export interface HttpApp {
  fetch(request: Request, host?: HostOfRequest): Response | Promise<Response>
}
