/** Ports of this machine's loopback address, the only one the development services listen on. */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

export const LOOPBACK = '127.0.0.1'

/**
 * The `keepAliveTimeout` of our servers: none. On a busy machine a client could use a connection at the moment in
 * which the server closes it (after five seconds by default), and a request that must not be repeated would
 * fail.
 */
export const KEEP_IDLE_CONNECTIONS = 0

/**
 * Below the ports that Linux assigns to connections and to servers without a fixed port (32768 to 60999).
 */
const [FIRST, LAST] = [20_000, 32_767]
let last = randomInt(FIRST, LAST)

/**
 * A port that is free now, a different one at each call. If another process takes it before it is used, try again
 * with another port.
 */
export async function freePort(): Promise<number> {
  for (let tries = FIRST; tries <= LAST; tries++) {
    last = last < LAST ? last + 1 : FIRST
    if (await isFree(last)) return last
  }
  throw new Error(`no port from ${FIRST} to ${LAST} is free`)
}

/** True when nothing listens on the port. */
async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => resolve(true))
  })
  if (free) await new Promise((resolve) => server.close(resolve))
  return free
}
