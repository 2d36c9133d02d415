/**
 * A proxy to a server that can stop forwarding without closing connections, like a host that hangs or a
 * network that is cut.
 */
import { createServer, connect as open, type Socket } from 'node:net'

export interface SilentProxy {
  readonly port: number
  /** Stops forwarding on open and new connections, without an error to either side. */
  silence(): void
  /** Forwards new connections again; the old ones stay silent. */
  restore(): void
  /** Connections that a client holds open. */
  readonly open: number
  close(): Promise<void>
}

export async function startSilentProxy(targetPort: number): Promise<SilentProxy> {
  const clients = new Set<Socket>()
  let isSilent = false
  let cut = new AbortController()
  const server = createServer((client) => {
    clients.add(client)
    client.on('close', () => clients.delete(client)).on('error', () => {})
    if (isSilent) return void client.resume()
    const target = open(targetPort, '127.0.0.1').on('error', () => client.destroy())
    client.pipe(target).pipe(client)
    client.on('close', () => target.destroy())
    cut.signal.addEventListener('abort', () => {
      client.unpipe(target)
      target.unpipe(client)
      client.resume()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    silence() {
      isSilent = true
      cut.abort()
    },
    restore() {
      isSilent = false
      cut = new AbortController()
    },
    get open() {
      return clients.size
    },
    async close() {
      for (const client of clients) client.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
