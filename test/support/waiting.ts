/**
 * How tests wait: for a condition and never for a length of time, so that a slow machine makes them slower,
 * not red.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Far above ten times what any wait takes on a quiet machine, and below the time limit of a test
 * (vitest.config.ts), so that what hangs ends with the text of its condition.
 */
export const LONGEST_WAIT_MS = 240_000
export const LONGEST_WAIT_SECONDS = LONGEST_WAIT_MS / 1000

/**
 * The same for what a whole stack repeats after minutes (leases, deliveries, retries): in the projects e2e
 * and browser.
 */
export const LONGEST_STACK_WAIT_MS = 540_000

/**
 * Longer than any test may take: work that waits for so long hangs, and the test fails at its own time limit.
 */
export const BEYOND_THE_TEST_SECONDS = 3600

const POLL_MS = 10

/**
 * Returns as soon as the condition holds. @throws with the text of the condition when it does not come to
 * hold.
 */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + LONGEST_WAIT_MS; !(await holds()); ) {
    if (performance.now() > end) throw new Error(`not within ${LONGEST_WAIT_SECONDS} s: ${holds}`)
    await sleep(POLL_MS)
  }
}
