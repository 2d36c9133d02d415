/**
 * Requests that were just written down are sent. What cannot be sent now waits in the outbox, and
 * track-arrivals sends it.
 */

import type { Context } from '../context.ts'
import { flushOutbox, type Request } from './outbox.ts'

/** Never throws: the work that a request tells of is done, and the next must not wait for a queue. */
export async function sendRequests(
  { database, queues, log }: Context<'database' | 'queues'>,
  requests: readonly Pick<Request, 'name'>[],
  signal: AbortSignal,
): Promise<void> {
  await flushOutbox(database, queues, { names: requests.map(({ name }) => name) }, signal).catch((error) =>
    log.warn({ error }, 'requests-wait'),
  )
}
