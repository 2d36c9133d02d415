/**
 * Sends requests right after they were written. Those that cannot be sent now stay in the outbox, and
 * track-arrivals sends them.
 */
import type { Context } from '../context.ts'
import { flushOutbox, type Request } from './outbox.ts'

/** Never throws: the work that caused the requests is done, and the next must not wait for a queue. */
export async function sendRequests(
  { database, queues, log }: Context<'database' | 'queues'>,
  requests: readonly Pick<Request, 'name'>[],
  signal: AbortSignal,
): Promise<void> {
  await flushOutbox(database, queues, { names: requests.map(({ name }) => name) }, signal).catch((error) =>
    log.warn({ error }, 'requests-not-sent'),
  )
}
