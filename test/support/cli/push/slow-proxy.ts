/**
 * A proxy to a store that can be slow or broken: it passes the bytes of TCP unchanged, with limits on the bytes to
 * and from the store.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface SlowProxy {
  readonly endpoint: string
  /** Bytes sent to the store so far. */
  passedBytes(): number
  /** Limits the bytes per second to the store, over all connections. */
  limit(bytesPerSecond: number): void
  /**
   * Lets so many more bytes from the store pass, over all connections; the others wait until the next call.
   */
  letThrough(answerBytes: number): void
  /** Ends all connections like a failing network; new ones work. */
  cut(): void
  close(): Promise<void>
}

export async function startSlowProxy(target: string): Promise<SlowProxy> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  let bytesPerSecond = Number.POSITIVE_INFINITY
  let passed = 0
  let answerBytes = Number.POSITIVE_INFINITY
  let more = Promise.withResolvers<void>()
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
    const answer = async () => {
      for await (const chunk of store as AsyncIterable<Buffer>) {
        while (answerBytes <= 0) await more.promise
        answerBytes -= chunk.length
        if (!client.write(chunk)) await Promise.race([once(client, 'drain'), once(client, 'close')])
      }
      client.end()
    }
    answer().catch(() => client.destroy())
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
    letThrough(bytes) {
      answerBytes = bytes
      more.resolve()
      more = Promise.withResolvers()
    },
    cut,
    async close() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
