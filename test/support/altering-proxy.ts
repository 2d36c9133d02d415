/**
 * A proxy in front of a store that changes its answers, as proxies, gateways and faulty stores do. Requests
 * are forwarded unchanged, so their signatures stay valid.
 */
import { request as forward, type IncomingHttpHeaders } from 'node:http'
import { startHttpServer } from './http-server.ts'

export interface StoreAnswer {
  status: number
  /** Names in lower case. */
  headers: IncomingHttpHeaders
  body: Buffer
}

export interface AlteringProxy {
  readonly origin: string
  /** Address of the store. */
  target: string
  /** Changes the answers in place; called with the request's method, address and headers. */
  alter: (
    answer: StoreAnswer,
    request: { readonly method: string; readonly url: URL; readonly headers: IncomingHttpHeaders },
  ) => void | Promise<void>
  close(): Promise<void>
}

export const unaltered: AlteringProxy['alter'] = () => {}

export async function startAlteringProxy(target = ''): Promise<AlteringProxy> {
  const server = await startHttpServer((incoming, outgoing) => {
    const { hostname, port } = new URL(proxy.target)
    const url = new URL(incoming.url ?? '/', proxy.target)
    const { method = 'GET', headers } = incoming
    const sent = forward({ hostname, port, method, path: incoming.url, headers }, (received) => {
      const pieces: Buffer[] = []
      received.on('data', (piece: Buffer) => pieces.push(piece))
      received.on('end', async () => {
        const { connection: _, 'transfer-encoding': __, ...own } = received.headers
        const answer = { status: received.statusCode ?? 500, headers: own, body: Buffer.concat(pieces) }
        const { body } = answer
        await proxy.alter(answer, { method, url, headers })
        if (answer.body !== body) answer.headers['content-length'] = String(answer.body.length)
        // Without a length the body is sent in chunks; a HEAD then states no length.
        for (const [name, value] of Object.entries(answer.headers))
          if (value !== undefined) outgoing.setHeader(name, value)
        outgoing.writeHead(answer.status)
        if (method === 'HEAD') outgoing.end()
        else outgoing.end(answer.body)
      })
    })
    sent.on('error', () => outgoing.destroy())
    incoming.pipe(sent)
  })
  const proxy: AlteringProxy = {
    origin: server.origin,
    target,
    alter: unaltered,
    close: () => server.close(),
  }
  return proxy
}
