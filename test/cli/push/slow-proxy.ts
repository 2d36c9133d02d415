/** A way to a store that can be slow or broken: TCP, byte by byte the same, with a limit on what goes to the store. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface SlowProxy {
  readonly endpoint: string
  /** Bytes that went to the store so far. */
  passedBytes(): number
  /** From now on so many bytes a second go to the store, over all connections. */
  limit(bytesPerSecond: number): void
  /** Ends all connections as a failing network does; new ones work. */
  cut(): void
  close(): Promise<void>
}

export async function startSlowProxy(target: string): Promise<SlowProxy> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  let bytesPerSecond = Number.POSITIVE_INFINITY
  let passed = 0
  let free = Promise.resolve()
  /** One after the other, so that the limit holds for all connections together. */
  const turn = (bytes: number): Promise<void> => {
    free = free.then(async () => {
      if (Number.isFinite(bytesPerSecond)) await sleep((bytes / bytesPerSecond) * 1000)
    })
    return free
  }
  const server = createServer((client) => {
    const store = connect(Number(port), hostname)
    for (const socket of [client, store]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => {})
    }
    client.on('close', () => store.destroy())
    store.on('close', () => client.destroy())
    store.pipe(client)
    const pump = async () => {
      for await (const chunk of client as AsyncIterable<Buffer>) {
        await turn(chunk.length)
        passed += chunk.length
        if (!store.write(chunk)) await Promise.race([once(store, 'drain'), once(store, 'close')])
      }
      store.end()
    }
    pump().catch(() => store.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    passedBytes: () => passed,
    limit(value) {
      bytesPerSecond = value
    },
    cut,
    async close() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
