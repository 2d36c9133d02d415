/** Dead letters: messages that failed too often, read and sent back one by one. */
import { setTimeout as sleep } from 'node:timers/promises'
import { deadLetterQueue, type QueuedMessage, type QueueName, type Queues } from './queues.ts'

/** While they are read, messages are hidden for this long; the reader releases them when it is done. */
const READING_SECONDS = 60

/**
 * An empty answer does not mean an empty queue: its messages may be on another server. So many empty answers
 * are needed.
 */
const EMPTY_ANSWERS = 2

/**
 * Reads up to `limit` dead letters of a queue, passes them to `use`, and releases those that `use` did not
 * remove. Until then they are hidden from other readers.
 */
export async function withDeadLetters<T>(
  queues: Queues,
  queue: QueueName,
  limit: number,
  signal: AbortSignal,
  use: (messages: readonly QueuedMessage[], remove: (message: QueuedMessage) => Promise<void>) => Promise<T>,
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
  const removed = new Set<string>()
  const takeOff = async (message: QueuedMessage) => {
    await queues.delete(dead, message, signal)
    removed.add(message.messageId)
  }
  try {
    return await use([...messages.values()], takeOff)
  } finally {
    for (const message of messages.values())
      if (!removed.has(message.messageId)) await queues.release(dead, message, signal)
  }
}

type Which = (message: QueuedMessage) => boolean | Promise<boolean>

/** Sends dead letters back to their queue: sent first, then removed, so that none is lost in between. */
export const retryDeadLetters = (
  queues: Queues,
  queue: QueueName,
  which: Which,
  signal: AbortSignal,
): Promise<number> => takeOff(queues, queue, which, signal, ({ body }) => queues.send(queue, [body], signal))

/** Removes dead letters for good. */
export const dismissDeadLetters = (
  queues: Queues,
  queue: QueueName,
  which: Which,
  signal: AbortSignal,
): Promise<number> => takeOff(queues, queue, which, signal, async () => {})

/** Removes the chosen letters, each after `before` has ended. Returns how many. */
async function takeOff(
  queues: Queues,
  queue: QueueName,
  which: Which,
  signal: AbortSignal,
  before: (message: QueuedMessage) => Promise<void>,
): Promise<number> {
  const limit = (await queues.depth(deadLetterQueue(queue), signal)).waiting + 10
  return await withDeadLetters(queues, queue, limit, signal, async (messages, remove) => {
    let count = 0
    for (const message of messages) {
      if (!(await which(message))) continue
      await before(message)
      await remove(message)
      count += 1
    }
    return count
  })
}
