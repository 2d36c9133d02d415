/**
 * Keeps a service running: restarts it whenever it dies, with a delay that doubles at repeated deaths.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Service } from './process.ts'

export interface Supervised<T extends Service> {
  /** The running service (after a death: the dead one, until its successor answers). */
  current(): T
  /** Settles when the service is stopped and will not be restarted. */
  stop(): Promise<void>
}

const FIRST_DELAY_MS = 200
const MAX_DELAY_MS = 10_000
/** After so long a life the delay is reset. */
const SETTLED_MS = 10_000

/**
 * Starts a service and watches it.
 * @param start called again after each death; the service must get the same address.
 * @throws the error of the first start.
 */
export async function supervise<T extends Service>(
  start: () => Promise<T>,
  report: (line: string) => void,
): Promise<Supervised<T>> {
  let service = await start()
  const stopping = new AbortController()
  const watch = async () => {
    let delayMs = FIRST_DELAY_MS
    while (!stopping.signal.aborted) {
      const startedAt = performance.now()
      const ending = await service.ended
      if (stopping.signal.aborted) return
      if (performance.now() - startedAt > SETTLED_MS) delayMs = FIRST_DELAY_MS
      report(`${service.name} ended (${ending}); restarting it`)
      await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted) return
      delayMs = Math.min(delayMs * 2, MAX_DELAY_MS)
      service = await start().catch((error: Error) => {
        report(`${service.name} does not start: ${error.message}`)
        return service
      })
    }
  }
  const watching = watch()
  return {
    current: () => service,
    async stop() {
      stopping.abort()
      await service.stop()
      await watching
      // A successor may have been starting while the previous service was stopped.
      await service.stop()
    },
  }
}
