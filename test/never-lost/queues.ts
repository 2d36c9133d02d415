/**
 * Queues in memory. Their messages wait until the test delivers them: at once, later, twice, in any order or
 * never.
 */
import type { Queues } from '../../shared/queue/queues.ts'
import type { Call } from './call.ts'

/** The queues that functions of the stories consume. */
const CONSUMED = ['runs', 'tape-requests', 'recall-requests'] as const
type ConsumedQueue = (typeof CONSUMED)[number]

export interface Message {
  readonly queue: ConsumedQueue
  readonly body: string
}

export interface TestQueues {
  readonly waiting: Message[]
  clientFor(call: Call): Queues
}

const refuse = () => Promise.reject(new Error('functions only send here'))

export function createTestQueues(): TestQueues {
  const waiting: Message[] = []
  return {
    waiting,
    clientFor: (call) => ({
      url: refuse,
      receive: refuse,
      delete: refuse,
      release: refuse,
      depth: refuse,
      async send(queue, bodies) {
        await call.through('queue', async () => {
          const consumed = CONSUMED.find((name) => name === queue)
          if (consumed !== undefined) for (const body of bodies) waiting.push({ queue: consumed, body })
        })
      },
    }),
  }
}
