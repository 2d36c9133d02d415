/** Waiting in tests: for a condition, never for a time. */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * The limit of a wait: far above ten times what anything takes on a quiet machine, so that it ends only what would never end, and below
 * vitest's testTimeout, so that the message names the condition.
 */
export const WAIT_LIMIT_MS = 240_000
/** The same for what is repeated after minutes: leases, deliveries, retries. Of the projects e2e, chaos and browser alone. */
export const LONG_WAIT_LIMIT_MS = 540_000

const POLL_MS = 10

/** @throws with the text of the condition when it does not come to hold. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + WAIT_LIMIT_MS; !(await holds()); ) {
    if (performance.now() > end) throw new Error(`not within ${WAIT_LIMIT_MS / 1000} s: ${holds}`)
    await sleep(POLL_MS)
  }
}
