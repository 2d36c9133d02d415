/**
 * Depth and age of the queues; one that does not answer is reported as such and does not delay the others.
 */

import type { Context } from '../../../shared/context.ts'
import { oldestMessages } from '../../../shared/queries/waiting-work.ts'
import { deadLetterQueue, QUEUES, type QueueDepth, type QueueName } from '../../../shared/queue/queues.ts'

export interface QueueState {
  readonly queue: QueueName
  /** Null when it does not answer. */
  readonly depth: QueueDepth | null
  /** Number of dead letters. */
  readonly dead: number
  /**
   * A lower limit for the age of its oldest message, from the time when the last ones were sent; null when
   * there is none, or it is unknown.
   */
  readonly oldest: Date | null
}

export async function queueStates(
  { queues, database, log }: Context<'database' | 'queues'>,
  signal: AbortSignal,
): Promise<readonly QueueState[]> {
  const states = await Promise.all(
    QUEUES.map(async (queue) => {
      try {
        const [depth, dead] = await Promise.all([
          queues.depth(queue, signal),
          queues.depth(deadLetterQueue(queue), signal),
        ])
        return { queue, depth, dead: dead.waiting + dead.inFlight }
      } catch (error) {
        log.warn({ queue, error }, 'queue-does-not-answer')
        return { queue, depth: null, dead: 0 }
      }
    }),
  )
  const messages = new Map(
    states.map(({ queue, depth }) => [queue, depth === null ? 0 : depth.waiting + depth.inFlight]),
  )
  const oldest = await oldestMessages(database, messages)
  return states.map((state) => ({ ...state, oldest: oldest.get(state.queue) ?? null }))
}
