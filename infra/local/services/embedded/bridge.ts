/**
 * Sends events of the embedded S3 to the queues, as AWS does: the bucket's configuration chooses the queue, the
 * message is an event in AWS's record format (event message structure 2.1, "Event message structure" in the Amazon
 * S3 User Guide).
 *
 * It runs inside the PUT: when the client has its answer, the event is in the queue. As in a real store the event
 * is only a hint: a kill between the write and the event loses it, and the listing finds the object.
 */
import { randomBytes } from 'node:crypto'
import type { S3rverEventRecord } from '@20minutes/s3rver'
import type { NotificationRule } from './notifications.ts'
import type { EmbeddedState } from './settings.ts'

export interface Bridge {
  /** Handles an event of s3rver. Never throws: the object is stored, even when its event cannot be sent. */
  handle(event: { readonly Records: readonly S3rverEventRecord[] }): void
  setNotifications(on: boolean): void
  state(): EmbeddedState
}

export function createBridge(options: {
  readonly region: string
  readonly rulesOf: (bucket: string) => readonly NotificationRule[]
  readonly send: (queue: string, body: string) => void
  readonly onFailure: (failure: {
    readonly bucket: string
    readonly key: string
    readonly queue: string
    readonly error: unknown
  }) => void
  /** The ETag of a stored object: s3rver omits it in the event of a copy. */
  readonly etagOf: (bucket: string, key: string) => string | undefined
  readonly notifications: boolean
  readonly now?: () => Date
}): Bridge {
  const counts = { sent: 0, suppressed: 0, failed: 0 }
  let notifications = options.notifications
  let lastSequence = 0n

  /**
   * Later events have greater sequencers (compared as hexadecimal text), also within a millisecond and after a
   * restart.
   */
  const nextSequencer = (now: Date): string => {
    const clock = BigInt(now.getTime()) << 16n
    lastSequence = clock > lastSequence ? clock : lastSequence + 1n
    return lastSequence.toString(16).toUpperCase().padStart(16, '0')
  }

  const handleRecord = (record: S3rverEventRecord) => {
    const eventName = eventNameOf(record)
    const { name: bucket } = record.s3.bucket
    const { key } = record.s3.object
    const matching = notifications
      ? options.rulesOf(bucket).filter((rule) => matches(rule, key, eventName))
      : []
    if (matching.length === 0) counts.suppressed += 1
    for (const rule of matching) {
      const now = options.now?.() ?? new Date()
      const eTag = record.s3.object.eTag ?? options.etagOf(bucket, key)
      const { region } = options
      const shaped = awsRecord({
        record,
        eventName,
        eTag,
        region,
        configurationId: rule.id,
        now,
        sequencer: nextSequencer(now),
      })
      try {
        options.send(rule.queue, JSON.stringify({ Records: [shaped] }))
        counts.sent += 1
      } catch (error) {
        counts.failed += 1
        options.onFailure({ bucket, key, queue: rule.queue, error })
      }
    }
  }

  return {
    handle: ({ Records }) => Records.forEach(handleRecord),
    setNotifications(on) {
      notifications = on
    },
    state: () => ({ notifications, ...counts }),
  }
}

/** s3rver names the completion of a multipart upload `Post`; AWS uses that name for HTML form uploads. */
function eventNameOf(record: S3rverEventRecord): string {
  return record.eventName === 'ObjectCreated:Post'
    ? 'ObjectCreated:CompleteMultipartUpload'
    : record.eventName
}

function matches(rule: NotificationRule, key: string, eventName: string): boolean {
  if (!key.startsWith(rule.prefix) || !key.endsWith(rule.suffix)) return false
  const name = `s3:${eventName}`
  return rule.events.some(
    (event) => event === name || (event.endsWith('*') && name.startsWith(event.slice(0, -1))),
  )
}

/**
 * The key as in an event of AWS: form encoding of its UTF-8 bytes, `+` for a space, slashes unchanged ("the object
 * key name value is URL encoded": red flower.jpg becomes red+flower.jpg).
 */
export function encodeEventKey(key: string): string {
  return encodeURIComponent(key)
    .replace(/[!'()]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%2F', '/')
    .replaceAll('%20', '+')
}

function awsRecord(options: {
  readonly record: S3rverEventRecord
  readonly eventName: string
  readonly eTag: string | undefined
  readonly region: string
  readonly configurationId: string
  readonly now: Date
  readonly sequencer: string
}): object {
  const { record, eventName, eTag } = options
  const { name: bucket } = record.s3.bucket
  const { key, size } = record.s3.object
  const removed = eventName.startsWith('ObjectRemoved')
  return {
    eventVersion: '2.1',
    eventSource: 'aws:s3',
    awsRegion: options.region,
    eventTime: options.now.toISOString(),
    eventName,
    userIdentity: { principalId: 'AWS:EMBEDDED' },
    requestParameters: { sourceIPAddress: record.requestParameters.sourceIPAddress.replace(/^::ffff:/, '') },
    responseElements: {
      'x-amz-request-id': randomBytes(8).toString('hex').toUpperCase(),
      'x-amz-id-2': randomBytes(32).toString('base64'),
    },
    s3: {
      s3SchemaVersion: '1.0',
      configurationId: options.configurationId,
      bucket: { name: bucket, ownerIdentity: { principalId: 'EMBEDDED' }, arn: `arn:aws:s3:::${bucket}` },
      object: { key: encodeEventKey(key), ...(!removed && { size, eTag }), sequencer: options.sequencer },
    },
  }
}
