/** How full the queues are, and since when they are; one that does not answer says so and holds up nobody. */

import type { Context } from '../../../shared/context.ts'
import { oldestMessages } from '../../../shared/queries/waiting-work.ts'
import { deadLetterQueue, QUEUES, type QueueDepth, type QueueName } from '../../../shared/queue/queues.ts'

export interface QueueState {
  readonly queue: QueueName
  /** Null when it does not answer. */
  readonly depth: QueueDepth | null
  /** Dead letters. */
  readonly dead: number
  /**
   * Since when its oldest message waits at least, by when the last ones were sent; null when there is none,
   * or nobody knows.
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
