/**
 * The notification configuration of a bucket, as in S3: `PUT /bucket?notification` replaces it, `GET` returns it. It
 * is stored with the bucket's objects. The only targets are the queues of the embedded SQS.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import S3Error from '@20minutes/s3rver/lib/models/error.js'
import { XMLParser } from 'fast-xml-parser'
import * as z from 'zod'
import { queueArn } from './settings.ts'
import type { EmbeddedStore } from './store.ts'
import { malformedXml, xmlDocument } from './xml.ts'

/** Sends matching events of a bucket to a queue. */
export interface NotificationRule {
  readonly id: string
  readonly queue: string
  /** `s3:ObjectCreated:Put`; `*` at the end matches any. */
  readonly events: readonly string[]
  readonly prefix: string
  readonly suffix: string
}

const text = z.string()
/** An element with only optional elements; without any the XML reader returns an empty text. */
const element = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === '' ? {} : value), schema)
const filterRule = z.strictObject({ Name: text, Value: text })
const configurationSchema = z.object({
  NotificationConfiguration: element(
    z.strictObject({
      QueueConfiguration: z
        .array(
          z.strictObject({
            Id: text.default(''),
            Queue: text,
            Event: z.array(text),
            Filter: element(
              z.strictObject({
                S3Key: element(z.strictObject({ FilterRule: z.array(filterRule).default([]) })).optional(),
              }),
            ).optional(),
          }),
        )
        .default([]),
    }),
  ),
})
const LISTS = ['QueueConfiguration', 'Event', 'FilterRule']
const PARSER = new XMLParser({ parseTagValue: false, isArray: (name) => LISTS.includes(name) })
const EVENT = /^s3:[A-Za-z]+:([A-Za-z]+|\*)$/
const NONE = xmlDocument(['NotificationConfiguration', ''])

/**
 * @throws S3Error MalformedXML, or InvalidArgument for an unknown event or target.
 */
function parseNotifications(xml: string): readonly NotificationRule[] {
  const parsed = configurationSchema.safeParse(readXml(xml))
  if (!parsed.success) throw malformedXml()
  const { QueueConfiguration: configurations } = parsed.data.NotificationConfiguration
  return configurations.map(({ Id: id, Queue: arn, Event: events, Filter }) => {
    if (!arn.startsWith(queueArn(''))) throw new S3Error('InvalidArgument', 'The ARN is not that of a queue')
    if (!events.every((event) => EVENT.test(event)))
      throw new S3Error('InvalidArgument', 'The event is not supported for notifications')
    const value = (name: string) =>
      Filter?.S3Key?.FilterRule.find((rule) => rule.Name.toLowerCase() === name)?.Value ?? ''
    const queue = arn.slice(queueArn('').length)
    return { id, queue, events, prefix: value('prefix'), suffix: value('suffix') }
  })
}

function readXml(xml: string): unknown {
  try {
    return PARSER.parse(xml, true)
  } catch {
    throw malformedXml()
  }
}

export interface BucketNotifications {
  /** @throws as `parseNotifications`; then the configuration is unchanged. */
  put(bucket: string, xml: string): void
  get(bucket: string): string
  rulesOf(bucket: string): readonly NotificationRule[]
}

export function createNotifications(store: EmbeddedStore): BucketNotifications {
  const fileOf = (bucket: string) => store.getResourcePath(bucket, '', 'notification.xml')
  /** Read at every event: so it is deleted with its bucket, and valid after a restart. */
  const get = (bucket: string): string => {
    try {
      return readFileSync(fileOf(bucket), 'utf8')
    } catch {
      return NONE
    }
  }
  return {
    put(bucket, xml) {
      parseNotifications(xml)
      const file = fileOf(bucket)
      writeFileSync(`${file}.part`, xml)
      renameSync(`${file}.part`, file)
    },
    get,
    rulesOf: (bucket) => parseNotifications(get(bucket)),
  }
}
