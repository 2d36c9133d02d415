/** How full the queues are; one that does not answer says so and holds up nobody. */
import { deadLetterQueue, QUEUES, type QueueDepth, type QueueName } from '../../shared/queue/queues.ts'
import type { TapeContext } from '../../shared/runtime/context.ts'

export interface QueueState {
  readonly queue: QueueName
  /** Null when it does not answer. */
  readonly depth: QueueDepth | null
  /** Dead letters. */
  readonly dead: number
}

export const queueStates = ({ queues, log }: Pick<TapeContext, 'queues' | 'log'>, signal: AbortSignal): Promise<readonly QueueState[]> =>
  Promise.all(
    QUEUES.map(async (queue) => {
      try {
        const [depth, dead] = await Promise.all([queues.depth(queue, signal), queues.depth(deadLetterQueue(queue), signal)])
        return { queue, depth, dead: dead.waiting + dead.inFlight }
      } catch (error) {
        log.warn({ queue, error }, 'queue-does-not-answer')
        return { queue, depth: null, dead: 0 }
      }
    }),
  )
