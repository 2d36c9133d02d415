/**
 * Requests of Ceph's RADOS gateway that the S3 API of the SDK does not have: one notification of a bucket is
 * deleted by its id (https://docs.ceph.com/en/latest/radosgw/s3/bucketops/#delete-notification), and topics are
 * made and read by the Simple Notification Service's API (https://docs.ceph.com/en/latest/radosgw/notifications/).
 */
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { isDeepStrictEqual } from 'node:util'
import { GetBucketNotificationConfigurationCommand, type S3Client } from '@aws-sdk/client-s3'
import { withoutSecrets } from '../log.ts'

/** Deletes one notification of the bucket; no error where there is none with this id. */
export async function deleteNotification(
  s3: S3Client,
  bucket: string,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const change = (request: StoreRequest) => {
    request.method = 'DELETE'
    request.query = { notification: id }
  }
  await sendChanged(s3, bucket, change, signal)
}

/** Where a topic's events are posted. */
export interface Topic {
  readonly endpoint: string
  /** Sent in the body of each event; empty where none is set. */
  readonly opaqueData: string
  /** False: an event whose post fails is lost. */
  readonly isPersistent: boolean
}

export interface RuleTarget {
  /** Without a token in its path, and without passwords. */
  readonly endpoint: string
  /** What an operator should know: the rule is older than its topic, or its events may be lost or refused. */
  readonly problem: string | null
}

/**
 * Where the events of a rule really go, and whether they will be accepted there.
 * @param token that receive-notification accepts; undefined where it is not known.
 * @returns null when the store does not show it.
 */
export async function describeTarget(
  s3: S3Client,
  rule: { readonly id: string; readonly arn: string },
  token: string | undefined,
  signal: AbortSignal,
): Promise<RuleTarget | null> {
  const used = isTopic(rule.arn) ? await readRuleTopic(s3, rule, signal) : null
  if (used === null) return null
  const now = await readTopic(s3, rule.arn, signal)
  return { endpoint: withoutToken(used.endpoint), problem: problemOf(used, now, token) }
}

const isTopic = (arn: string) => arn.split(':')[2] === 'sns'

function problemOf(used: Topic, now: Topic | null, token: string | undefined): string | null {
  if (now !== null && !isDeepStrictEqual(used, now))
    return `the topic was changed (endpoint now ${withoutToken(now.endpoint)}): run "cygnet notifications apply" again`
  if (!used.isPersistent) return 'the topic is not persistent: an event whose post fails is lost'
  if (token === undefined) return null
  const hasToken = used.opaqueData === token || lastSegment(used.endpoint) === token
  return hasToken ? null : 'the topic does not send CYGNET_NOTIFICATION_TOKEN: its events are refused'
}

/** A shorter last part of a path is the name of a store. */
const SHORTEST_TOKEN = 16

function withoutToken(endpoint: string): string {
  const hidden = lastSegment(endpoint).length < SHORTEST_TOKEN ? endpoint : endpoint.replace(/[^/]*$/, '***')
  return withoutSecrets(hidden)
}

function lastSegment(endpoint: string): string {
  const [, segment = ''] = /^\w+:\/\/[^/]+\/(?:.*\/)?([^/?]*)$/.exec(endpoint) ?? []
  return segment
}

/**
 * Where the events of a rule of a bucket really go. A rule copies its topic when it is put: until it is put
 * again, its events go to the place that the topic had then. The copy is a topic of its own, `<rule id>_<topic>`.
 * @returns null when the store does not show it (another product, another version, no right).
 */
async function readRuleTopic(
  s3: S3Client,
  rule: { readonly id: string; readonly arn: string },
  signal: AbortSignal,
): Promise<Topic | null> {
  const [, , , , , name] = rule.arn.split(':')
  return await readTopic(s3, rule.arn.replace(/[^:]*$/, `${rule.id}_${name}`), signal)
}

/** The topic as it is now; null when the store does not show it. */
export async function readTopic(s3: S3Client, arn: string, signal: AbortSignal): Promise<Topic | null> {
  try {
    return parseTopic(await sendToTopics(s3, { Action: 'GetTopic', TopicArn: arn }, signal))
  } catch {
    signal.throwIfAborted()
    return null
  }
}

/** From the answer of GetTopic; null when it states no endpoint. */
function parseTopic(xml: string): Topic | null {
  const contentOf = (element: string) => {
    const [, value] = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml) ?? []
    return value === undefined ? undefined : withoutEntities(value)
  }
  const endpoint = contentOf('EndpointAddress')
  if (endpoint === undefined || endpoint === '') return null
  return {
    endpoint,
    opaqueData: contentOf('OpaqueData') ?? '',
    isPersistent: contentOf('Persistent')?.toLowerCase() === 'true',
  }
}

/**
 * Makes a persistent topic, or changes the one of this name.
 * @returns its ARN, in which the store fills in the tenant.
 */
export async function createTopic(
  s3: S3Client,
  name: string,
  { endpoint, opaqueData }: { readonly endpoint: string; readonly opaqueData: string },
  signal: AbortSignal,
): Promise<string> {
  const attributes = { 'push-endpoint': endpoint, OpaqueData: opaqueData, persistent: 'true' }
  const entries = Object.entries(attributes).flatMap(([key, value], index) => [
    [`Attributes.entry.${index + 1}.key`, key],
    [`Attributes.entry.${index + 1}.value`, value],
  ])
  const form = { Action: 'CreateTopic', Name: name, ...Object.fromEntries(entries) }
  const xml = await sendToTopics(s3, form, signal)
  const [, arn] = /<TopicArn>([^<]+)<\/TopicArn>/.exec(xml) ?? []
  if (arn === undefined) throw new Error(`the store made no topic ${name}: ${xml.slice(0, 200)}`)
  return withoutEntities(arn)
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const withoutEntities = (value: string) =>
  value.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? '')

async function sendToTopics(
  s3: S3Client,
  form: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string> {
  // The name is removed from the path again.
  const bucket = 'topics'
  const change = (request: StoreRequest) => {
    request.method = 'POST'
    request.path = request.path.replace(new RegExp(`${bucket}/?$`), '')
    request.query = {}
    request.headers['content-type'] = 'application/x-www-form-urlencoded'
    request.body = new URLSearchParams(form).toString()
  }
  return await sendChanged(s3, bucket, change, signal)
}

/** The parts of the SDK's HttpRequest that are changed. */
interface StoreRequest {
  method: string
  path: string
  query: Record<string, string>
  readonly headers: Record<string, string>
  body?: unknown
}

/**
 * Sends a request of the SDK after changing it: address, signature, retries and errors are the SDK's.
 * @returns the body of the answer.
 */
async function sendChanged(
  s3: S3Client,
  bucket: string,
  change: (request: StoreRequest) => void,
  signal: AbortSignal,
): Promise<string> {
  const command = new GetBucketNotificationConfigurationCommand({ Bucket: bucket })
  let answer = ''
  command.middlewareStack.add(
    (next) => async (args) => {
      change(args.request as StoreRequest)
      return await next(args)
    },
    { step: 'serialize', priority: 'low', name: 'changeRequest' },
  )
  command.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const response = result.response as { readonly statusCode: number; body: Readable }
      if (response.statusCode < 300) {
        answer = await text(response.body)
        // For the parser of the SDK, which expects another answer.
        response.body = Readable.from([])
      }
      return result
    },
    { step: 'deserialize', priority: 'low', name: 'takeAnswer' },
  )
  await s3.send(command, { abortSignal: signal })
  return answer
}
