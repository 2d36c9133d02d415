/**
 * What a host reports to the queue about messages: finished, in progress, to be delivered again. Many
 * messages finish within a few milliseconds, so calls are combined into batches of ten, the limit of SQS.
 */
import {
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  DeleteMessageBatchCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs'
import type { Logger } from '../log.ts'
import type { ReceivedMessage } from './sqs-messages.ts'

const MAX_BATCH = 10

/**
 * How long the first message of a batch waits for others, milliseconds. No caller waits for a deletion, so
 * this adds no latency.
 */
const GATHER_MS = 10

/** Attempts to delete one batch, in addition to the SDK's own retries. */
const DELETE_ATTEMPTS = 3

export interface Acknowledger {
  /**
   * Deletes a message. A failure is logged, and the message is delivered again: a handler recognises its own
   * work.
   */
  done(message: ReceivedMessage): void
  /** Hides the messages for this many seconds from now. */
  extend(messages: readonly ReceivedMessage[], seconds: number): Promise<void>
  /** Delivers a message again after this many seconds (0: at once). */
  retry(message: ReceivedMessage, seconds: number): Promise<void>
  /** Resolves when all calls so far have reached the queue or were given up. */
  flush(): Promise<void>
}

export function createAcknowledger(options: {
  readonly sqs: SQSClient
  readonly queueUrl: string
  readonly log: Logger
}): Acknowledger {
  const { sqs, queueUrl: QueueUrl, log } = options
  const inProgress = new Set<Promise<void>>()
  let gathered: ReceivedMessage[] = []
  let timer: NodeJS.Timeout | undefined

  const track = (work: Promise<void>) => {
    const tracked = work.finally(() => inProgress.delete(tracked))
    inProgress.add(tracked)
    return tracked
  }

  const deleteBatch = async (messages: readonly ReceivedMessage[]) => {
    let left = messages
    for (let attempt = 1; left.length > 0; attempt++) {
      try {
        const { Failed = [] } = await sqs.send(
          new DeleteMessageBatchCommand({ QueueUrl, Entries: entries(left) }),
        )
        // An expired receipt belongs to a message that was delivered again: there is nothing to delete.
        const failed = new Set(Failed.filter((entry) => !entry.SenderFault).map((entry) => Number(entry.Id)))
        left = left.filter((_, index) => failed.has(index))
        if (left.length === 0) return
        if (attempt >= DELETE_ATTEMPTS)
          log.warn({ messages: left.map((message) => message.messageId) }, 'messages-not-deleted')
      } catch (error) {
        if (attempt >= DELETE_ATTEMPTS)
          log.warn({ error, messages: left.map((message) => message.messageId) }, 'messages-not-deleted')
      }
      if (attempt >= DELETE_ATTEMPTS) return
    }
  }

  const send = () => {
    clearTimeout(timer)
    timer = undefined
    const batch = gathered
    gathered = []
    if (batch.length > 0) void track(deleteBatch(batch))
  }

  return {
    done(message) {
      gathered.push(message)
      if (gathered.length >= MAX_BATCH) send()
      else timer ??= setTimeout(send, GATHER_MS)
    },
    async extend(messages, seconds) {
      for (let start = 0; start < messages.length; start += MAX_BATCH) {
        const batch = messages.slice(start, start + MAX_BATCH)
        const Entries = entries(batch).map((entry) => ({ ...entry, VisibilityTimeout: seconds }))
        try {
          const { Failed = [] } = await sqs.send(
            new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries }),
          )
          for (const { Id, Code } of Failed)
            log.warn({ message: batch[Number(Id)]?.messageId, code: Code }, 'message-not-extended')
        } catch (error) {
          log.warn({ error, messages: batch.length }, 'message-not-extended')
        }
      }
    },
    retry(message, seconds) {
      const command = new ChangeMessageVisibilityCommand({
        QueueUrl,
        ReceiptHandle: message.receiptHandle,
        VisibilityTimeout: seconds,
      })
      // If this fails, the message is delivered again when its visibility timeout ends: later, but not lost.
      return track(
        sqs.send(command).then(
          () => {},
          (error) => log.warn({ error, message: message.messageId }, 'message-not-rescheduled'),
        ),
      )
    },
    async flush() {
      send()
      while (inProgress.size > 0) await Promise.all(inProgress)
    },
  }
}

/**
 * The index within the batch is the id: ids must only differ within one call, and message ids may repeat in
 * one.
 */
function entries(messages: readonly ReceivedMessage[]) {
  return messages.map((message, index) => ({ Id: String(index), ReceiptHandle: message.receiptHandle }))
}
