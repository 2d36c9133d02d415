/** Dead letters: messages that failed too often, read and sent back one by one. */
import { setTimeout as sleep } from 'node:timers/promises'
import { deadLetterQueue, type QueuedMessage, type QueueName, type Queues } from './queues.ts'

/**
 * While they are read the messages are hidden for this long; whoever reads them gives them back when done.
 */
const READING_SECONDS = 60

/** A queue that answers empty may still hold messages on another of its servers; it is asked this often. */
const EMPTY_ANSWERS = 2

/**
 * Reads up to `limit` dead letters of a queue, hands them to `use`, and gives back those that `use` did not
 * take off. Reading hides a message from other readers until then.
 */
export async function withDeadLetters<T>(
  queues: Queues,
  queue: QueueName,
  limit: number,
  signal: AbortSignal,
  use: (messages: readonly QueuedMessage[], takeOff: (message: QueuedMessage) => Promise<void>) => Promise<T>,
): Promise<T> {
  const dead = deadLetterQueue(queue)
  const messages = new Map<string, QueuedMessage>()
  for (let empty = 0; empty < EMPTY_ANSWERS && messages.size < limit; ) {
    const received = await queues.receive(dead, READING_SECONDS, signal)
    for (const message of received) messages.set(message.messageId, message)
    if (received.length === 0) {
      empty++
      await sleep(50, undefined, { signal })
    }
  }
  const gone = new Set<string>()
  const takeOff = async (message: QueuedMessage) => {
    await queues.delete(dead, message, signal)
    gone.add(message.messageId)
  }
  try {
    return await use([...messages.values()], takeOff)
  } finally {
    for (const message of messages.values())
      if (!gone.has(message.messageId)) await queues.release(dead, message, signal)
  }
}

/**
 * Sends dead letters back to the queue they died on: first sent, then taken off, so that none is lost
 * between.
 */
export async function retryDeadLetters(
  queues: Queues,
  queue: QueueName,
  which: (message: QueuedMessage) => boolean,
  signal: AbortSignal,
): Promise<readonly QueuedMessage[]> {
  const limit = (await queues.depth(deadLetterQueue(queue), signal)).waiting + 10
  return await withDeadLetters(queues, queue, limit, signal, async (messages, takeOff) => {
    const chosen = messages.filter(which)
    for (const message of chosen) {
      await queues.send(queue, [message.body], signal)
      await takeOff(message)
    }
    return chosen
  })
}
