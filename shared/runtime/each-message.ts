/** Builds a queue function from the work on one message. */
import type { SQSRecord } from 'aws-lambda'
import { ConflictError, classify } from '../errors.ts'
import type { Invocation, QueueHandler } from './handler.ts'

/** How messages are parsed: a format of shared/messages. */
interface Format<Message> {
  /** Throws an error that describes an invalid body. */
  parse(body: string): Message
  /** Identifies the message in log lines. */
  fields(message: Message): object
}

/** What the work on one message receives; the log has the fields of the message. */
export interface MessageInvocation extends Invocation {
  /** The message as received. */
  readonly body: string
}

/**
 * Builds a queue function from the work on one message. The messages of a batch are processed one after
 * another; one that cannot be parsed or whose work throws is logged and reported as failed, and the others
 * continue. After the signal aborted (the time is up, or the host stops) no further message is started: the
 * remaining ones are reported as failed as well, and are delivered again.
 *
 *     export const createHandler = (context: ContextOf<typeof needs>) =>
 *       eachMessage(tapeRequests, (request) => acceptTapeRequest(context, request))
 */
export function eachMessage<Message>(
  format: Format<Message>,
  work: (message: Message, invocation: MessageInvocation) => Promise<unknown>,
): QueueHandler {
  const succeeds = async ({ messageId, body }: SQSRecord, { signal, log: hostLog }: Invocation) => {
    let log = hostLog.child({ message: messageId })
    try {
      signal.throwIfAborted()
      const message = format.parse(body)
      log = log.child(format.fields(message))
      await work(message, { signal, log, body })
      return true
    } catch (error) {
      const failure = classify(error)
      // That another process holds the lease is no error.
      log[failure instanceof ConflictError ? 'info' : 'error']({ error: failure }, 'message-not-processed')
      return false
    }
  }
  return async ({ Records }, invocation) => {
    const batchItemFailures: { itemIdentifier: string }[] = []
    for (const record of Records)
      if (!(await succeeds(record, invocation))) batchItemFailures.push({ itemIdentifier: record.messageId })
    return { batchItemFailures }
  }
}
