/** Ports of this machine's loopback address, the only one the development services listen on. */
import { randomInt } from 'node:crypto'
import { createServer, type ListenOptions, type Server } from 'node:net'

export const LOOPBACK = '127.0.0.1'

/**
 * The `keepAliveTimeout` of our servers: none. On a busy machine a client could use a connection at the moment in
 * which the server closes it (after five seconds by default), and a request that must not be repeated would
 * fail.
 */
export const KEEP_IDLE_CONNECTIONS = 0

/**
 * Below the range from which Linux picks ports for connections (32768 to 60999), so that none of these is taken
 * by chance.
 */
const [FIRST, LAST] = [20_000, 32_767]
let last = randomInt(FIRST, LAST)

/**
 * A port that is free now, and that no other process of this project is given as long as this one runs: what
 * listens on it is often started only a second later.
 */
export async function freePort(): Promise<number> {
  for (let tries = FIRST; tries <= LAST; tries++) {
    last = last < LAST ? last + 1 : FIRST
    if (await reservePort(last)) return last
  }
  throw new Error(`no port from ${FIRST} to ${LAST} is free`)
}

/**
 * False when something listens on the port, or another process has reserved it. A reservation is an abstract
 * socket, a name that one process of the machine can hold and that ends with its process. Only Linux has
 * these; elsewhere the port is merely known to be free now.
 */
export async function reservePort(port: number): Promise<boolean> {
  const isLinux = process.platform === 'linux'
  const reservation = isLinux ? await listen({ path: `\0cygnet-port-${port}` }) : null
  if (isLinux && reservation === null) return false
  reservation?.unref()
  const probe = await listen({ port, host: LOOPBACK, exclusive: true })
  if (probe === null) reservation?.close()
  else await new Promise((resolve) => probe.close(resolve))
  return probe !== null
}

/** Null when something listens there. */
async function listen(where: ListenOptions): Promise<Server | null> {
  const server = createServer()
  return await new Promise((resolve) => {
    server.once('error', () => resolve(null))
    server.listen(where, () => resolve(server))
  })
}
