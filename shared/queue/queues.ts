/** The work queues: one per kind of work, each with a dead-letter queue named `<queue>-dead`. */
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs'
import { TransientError } from '../errors.ts'
import { escaped } from '../text.ts'

export const QUEUES = ['runs', 'tape-requests', 'recall-requests', 'reco-requests', 'alerts'] as const
export type QueueName = (typeof QUEUES)[number]

export const deadLetterQueue = (queue: QueueName): `${QueueName}-dead` => `${queue}-dead`
type AnyQueue = QueueName | `${QueueName}-dead`

/** A message that was received but not deleted. */
export interface QueuedMessage {
  readonly messageId: string
  readonly receiptHandle: string
  readonly body: string
  readonly receiveCount: number
  readonly sentAt: Date | null
}

export interface QueueDepth {
  readonly waiting: number
  readonly inFlight: number
}

export interface Queues {
  url(queue: AnyQueue, signal: AbortSignal): Promise<string>
  /** Sends every body (JSON) or throws. A partly accepted batch is reported as failed and may be sent again. */
  send(queue: AnyQueue, bodies: readonly string[], signal: AbortSignal): Promise<void>
  /** Receives up to ten messages; they become visible again after `visibilitySeconds` unless deleted. */
  receive(queue: AnyQueue, visibilitySeconds: number, signal: AbortSignal): Promise<readonly QueuedMessage[]>
  delete(queue: AnyQueue, message: QueuedMessage, signal: AbortSignal): Promise<void>
  /** Makes a message visible again at once. */
  release(queue: AnyQueue, message: QueuedMessage, signal: AbortSignal): Promise<void>
  depth(queue: AnyQueue, signal: AbortSignal): Promise<QueueDepth>
}

/** SQS accepts ten messages and 256 KiB per call; a margin is left for its framing. */
const BATCH_MESSAGES = 10
const BATCH_BYTES = 240 * 1024
const SEND_TIMEOUT_MS = 20_000

export function createQueues(sqs: SQSClient, prefix: string): Queues {
  const urls = new Map<AnyQueue, string>()

  async function url(queue: AnyQueue, signal: AbortSignal): Promise<string> {
    const known = urls.get(queue)
    if (known !== undefined) return known
    const answer = await sqs.send(new GetQueueUrlCommand({ QueueName: prefix + queue }), {
      abortSignal: signal,
    })
    if (answer.QueueUrl === undefined) throw new TransientError(`the queue ${prefix}${queue} has no address`)
    urls.set(queue, answer.QueueUrl)
    return answer.QueueUrl
  }

  return {
    url,
    send: coalescing(async (queue: AnyQueue, bodies, signal) => {
      const QueueUrl = await url(queue, signal)
      for (const batch of batches(bodies.map(escapedJson))) {
        const Entries = batch.map((MessageBody, index) => ({ Id: String(index), MessageBody }))
        const answer = await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }), {
          abortSignal: signal,
        })
        const failed = answer.Failed?.[0]
        if (failed !== undefined)
          throw new TransientError(
            `the queue ${queue} refused a message: ${failed.Code ?? 'no code'} ${failed.Message ?? ''}`,
          )
      }
    }),
    async receive(queue, visibilitySeconds, signal) {
      const answer = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: await url(queue, signal),
          MaxNumberOfMessages: BATCH_MESSAGES,
          VisibilityTimeout: visibilitySeconds,
          WaitTimeSeconds: 0,
          MessageSystemAttributeNames: ['ApproximateReceiveCount', 'SentTimestamp'],
        }),
        { abortSignal: signal },
      )
      return (answer.Messages ?? []).map((message) => ({
        messageId: message.MessageId ?? '',
        receiptHandle: message.ReceiptHandle ?? '',
        body: message.Body ?? '',
        receiveCount: Number(message.Attributes?.ApproximateReceiveCount ?? 0),
        sentAt:
          message.Attributes?.SentTimestamp === undefined
            ? null
            : new Date(Number(message.Attributes.SentTimestamp)),
      }))
    },
    async delete(queue, message, signal) {
      const input = { QueueUrl: await url(queue, signal), ReceiptHandle: message.receiptHandle }
      await sqs.send(new DeleteMessageCommand(input), { abortSignal: signal })
    },
    async release(queue, message, signal) {
      const input = {
        QueueUrl: await url(queue, signal),
        ReceiptHandle: message.receiptHandle,
        VisibilityTimeout: 0,
      }
      await sqs.send(new ChangeMessageVisibilityCommand(input), { abortSignal: signal })
    },
    async depth(queue, signal) {
      const answer = await sqs.send(
        new GetQueueAttributesCommand({
          QueueUrl: await url(queue, signal),
          AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
        }),
        { abortSignal: signal },
      )
      return {
        waiting: Number(answer.Attributes?.ApproximateNumberOfMessages ?? 0),
        inFlight: Number(answer.Attributes?.ApproximateNumberOfMessagesNotVisible ?? 0),
      }
    },
  }
}

/**
 * SQS refuses U+FFFE and U+FFFF, and some of its implementations all beyond the BMP. In JSON these occur in
 * texts only, where an escape means the same character.
 */
const escapedJson = (body: string): string => body.replace(/[\ufffe\uffff]|[\ud800-\udfff]+/g, escaped)

type Send<Queue> = (queue: Queue, bodies: readonly string[], signal: AbortSignal) => Promise<void>

/**
 * Combines the messages of several callers for the same queue into batches: while one batch is being sent,
 * the next is collected. Each caller waits for its own messages; if a batch fails, it fails for all its
 * callers. A batch has its own time limit, so that a caller that stops does not abort the messages of others.
 */
function coalescing<Queue>(send: Send<Queue>): Send<Queue> {
  interface Waiting {
    readonly bodies: string[]
    readonly sent: Promise<void>
  }
  const waiting = new Map<Queue, Waiting>()
  const inProgress = new Map<Queue, Promise<unknown>>()
  return async (queue, bodies, signal) => {
    signal.throwIfAborted()
    if (bodies.length === 0) return
    const open = waiting.get(queue)
    if (open !== undefined) {
      open.bodies.push(...bodies)
      return await open.sent
    }
    const collected = [...bodies]
    const sent = (inProgress.get(queue) ?? Promise.resolve())
      .catch(() => {})
      .then(() => {
        waiting.delete(queue)
        return send(queue, collected, AbortSignal.timeout(SEND_TIMEOUT_MS))
      })
    waiting.set(queue, { bodies: collected, sent })
    inProgress.set(queue, sent)
    return await sent
  }
}

function* batches(bodies: readonly string[]): Generator<readonly string[]> {
  let batch: string[] = []
  let bytes = 0
  for (const body of bodies) {
    const size = Buffer.byteLength(body)
    if (batch.length > 0 && (batch.length === BATCH_MESSAGES || bytes + size > BATCH_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(body)
    bytes += size
  }
  if (batch.length > 0) yield batch
}
