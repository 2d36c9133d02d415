/**
 * Parses notifications of AWS, MinIO and Ceph, received by webhook or queue, into one `ObjectArrival` per
 * object.
 *
 * A notification is a hint: all readable records are used, and one invalid record does not affect the others.
 */
import { InvalidInputError } from '../errors.ts'
import type { ObjectArrival } from './arrival.ts'
import { envelopeOf } from './envelope.ts'
import { parseEventBridge } from './eventbridge.ts'
import { parseRecord, type RecordContent } from './record.ts'

export interface ParsedNotification {
  readonly arrivals: readonly ObjectArrival[]
  /** Understood, but not arrivals: test events, removals, tags, retention, life cycle. */
  readonly ignored: readonly { readonly reason: string; readonly eventName: string }[]
  /** Not understood: to be kept for a person. `record` is that part of the payload. */
  readonly rejected: readonly { readonly reason: string; readonly record: unknown }[]
}

/**
 * Each text, list and envelope is one level. S3 → SNS → SQS → CloudEvent has eight; a deeper payload is not a
 * notification.
 */
const MAX_DEPTH = 12

/**
 * Parses a notification: an S3 event of any of the three stores, AWS's test event, any of these wrapped by
 * SNS or SQS, an EventBridge event of S3, a CloudEvent with any of these, or a list of them.
 * @param payload the parsed JSON, or the JSON text itself.
 * @returns what arrived, what was ignored and what was rejected, in the order of the payload. Never throws.
 */
export function parseNotification(payload: unknown): ParsedNotification {
  const found: Found = { arrivals: [], ignored: [], rejected: [] }
  collect(payload, found, 0)
  return found
}

/** A ParsedNotification while it is being filled. */
interface Found {
  readonly arrivals: ObjectArrival[]
  readonly ignored: { readonly reason: string; readonly eventName: string }[]
  readonly rejected: { readonly reason: string; readonly record: unknown }[]
}

function collect(payload: unknown, found: Found, depth: number): void {
  const envelope = envelopeOf(payload)
  switch (envelope.kind) {
    case 'record':
      read(parseRecord, payload, found)
      break
    case 'eventbridge':
      read(parseEventBridge, payload, found)
      break
    case 'test':
      found.ignored.push({ reason: 'a test event', eventName: 'TestEvent' })
      break
    case 'wrapper':
      if (depth >= MAX_DEPTH)
        found.rejected.push({ reason: 'the notification is wrapped too deeply', record: payload })
      else for (const inner of envelope.payloads) collect(inner, found, depth + 1)
      break
    case 'unknown':
      found.rejected.push({ reason: envelope.reason, record: payload })
  }
}

function read(parser: (value: unknown) => RecordContent, value: unknown, found: Found): void {
  try {
    const content = parser(value)
    if ('ignored' in content) found.ignored.push(content.ignored)
    else found.arrivals.push(content.arrival)
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    found.rejected.push({ reason: error.message, record: value })
  }
}
