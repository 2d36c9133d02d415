/**
 * A link of limited rate in front of a server of this machine, in a process of its own: forked with the
 * server's port and the rate in bytes per second. All connections together pass this many bytes per second in
 * each direction, as on one network link, without added delay. It first sends its port, then the bytes passed
 * whenever it receives a message, and ends with its parent.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { LOOPBACK } from '../../infra/local/ports.ts'

/** The first message. */
export interface Listening {
  readonly port: number
  readonly pid: number
}

/** The answer to a message: totals since the start. */
export interface Passed {
  readonly toServerBytes: number
  readonly toClientBytes: number
}

/**
 * A bucket holds what the link passes in this time: timers are late by about a millisecond, and the rate must
 * be kept nevertheless.
 */
const BUCKET_MS = 10

/**
 * One direction, as a token bucket: instead of tokens it stores the time at which everything passed so far is
 * paid for. It holds one chunk per connection; the rest waits in the sockets, which blocks their senders.
 */
function createDirection(bytesPerSecond: number) {
  let passedBytes = 0
  let paidAtMs = 0
  return {
    passedBytes: () => passedBytes,
    async *limit(chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        const nowMs = performance.now()
        paidAtMs = Math.max(paidAtMs, nowMs - BUCKET_MS) + (chunk.length / bytesPerSecond) * 1000
        if (paidAtMs > nowMs) await sleep(paidAtMs - nowMs)
        passedBytes += chunk.length
        yield chunk
      }
    },
  }
}

async function main(serverPort: number, bytesPerSecond: number): Promise<void> {
  const [toServer, toClient] = [createDirection(bytesPerSecond), createDirection(bytesPerSecond)]
  const relay = (client: Socket) => {
    const server = connect({ port: serverPort, host: LOOPBACK, allowHalfOpen: true, noDelay: true })
    const cut = () => {
      client.destroy()
      server.destroy()
    }
    pipeline(client, toServer.limit, server).catch(cut)
    pipeline(server, toClient.limit, client).catch(cut)
  }
  const listener = createServer({ allowHalfOpen: true, noDelay: true }, relay).listen(0, LOOPBACK)
  await once(listener, 'listening')
  process.on('message', () =>
    process.send?.({
      toServerBytes: toServer.passedBytes(),
      toClientBytes: toClient.passedBytes(),
    } satisfies Passed),
  )
  process.on('disconnect', () => process.exit())
  process.send?.({ port: (listener.address() as AddressInfo).port, pid: process.pid } satisfies Listening)
}

await main(Number(process.argv[2]), Number(process.argv[3]))
