/** Ports of this machine's loopback address, the only one the development services listen on. */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

export const LOOPBACK = '127.0.0.1'

/**
 * The `keepAliveTimeout` of our servers: none. A client on a busy machine could use a connection in the
 * moment in which the server, after Node's five seconds, closes it; a request that may not be made twice
 * would then fail.
 */
export const KEEP_IDLE_CONNECTIONS = 0

/**
 * Below those that Linux gives to connections and to whoever listens on any port (32768 to 60999): none of
 * these is given away by chance.
 */
const [FIRST, LAST] = [20_000, 32_767]
let last = randomInt(FIRST, LAST)

/**
 * A port that is free now, another one at each call. Should another process take it before it is used, try
 * again with another.
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
