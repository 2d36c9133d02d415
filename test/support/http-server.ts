/**
 * HTTP servers of tests, each on a free port of 127.0.0.1. They keep idle connections open until they are
 * closed: a client never finds one closed that it is just using again, however long it was busy with
 * something else.
 */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface TestServer {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string
  /** Ends all connections as well. */
  close(): Promise<void>
}

export async function startHttpServer(listener: RequestListener): Promise<TestServer> {
  const server = createServer({ keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 }, listener).listen(
    0,
    '127.0.0.1',
  )
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
