/**
 * Keeps a service running: starts it again whenever it dies, with a delay that doubles while it keeps dying.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Service } from './process.ts'

export interface Supervised<T extends Service> {
  /** The service as it runs now (after a death: the one that died, until its successor answers). */
  current(): T
  /** Settles when the service is stopped and will not be started again. */
  stop(): Promise<void>
}

const FIRST_DELAY_MS = 200
const MAX_DELAY_MS = 10_000
/** One that lived so long starts again without delay. */
const SETTLED_MS = 10_000

/**
 * Starts a service and watches it.
 * @param start called again after each death; it must come back at the same address.
 * @throws what the first start throws.
 */
export async function supervise<T extends Service>(
  start: () => Promise<T>,
  tell: (line: string) => void,
): Promise<Supervised<T>> {
  let service = await start()
  const stopping = new AbortController()
  const watch = async () => {
    let delayMs = FIRST_DELAY_MS
    while (!stopping.signal.aborted) {
      const startedAt = performance.now()
      const how = await service.ended
      if (stopping.signal.aborted) return
      if (performance.now() - startedAt > SETTLED_MS) delayMs = FIRST_DELAY_MS
      tell(`${service.name} ended (${how}); starting it again`)
      await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted) return
      delayMs = Math.min(delayMs * 2, MAX_DELAY_MS)
      service = await start().catch((error: Error) => {
        tell(`${service.name} does not start: ${error.message}`)
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
      // It may have been starting while we stopped the one before.
      await service.stop()
    },
  }
}
