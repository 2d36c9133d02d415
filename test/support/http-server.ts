/**
 * HTTP servers of tests, each on a free port of 127.0.0.1. They keep idle connections open, so that a client
 * never reuses a connection that the server is closing.
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
