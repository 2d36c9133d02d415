/** A fixed address for a service that is replaced by another during the test. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Gateway {
  readonly port: number
  /** Forwards to this port from now on, or nowhere (null). Open connections are cut. */
  lead(port: number | null): void
  close(): Promise<void>
}

export async function startGateway(port: number): Promise<Gateway> {
  const clients = new Set<Socket>()
  let target: number | null = port
  const server = createServer((client) => {
    clients.add(client)
    client.on('close', () => clients.delete(client)).on('error', () => {})
    if (target === null) return void client.destroy()
    const service = connect(target, '127.0.0.1').on('error', () => client.destroy())
    client.on('close', () => service.destroy())
    service.on('close', () => client.destroy())
    client.pipe(service).pipe(client)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const client of clients) client.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    lead(next) {
      target = next
      cut()
    },
    async close() {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
