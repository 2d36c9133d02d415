/**
 * Tests wait for a condition and never for a length of time, so that they are slower on a slow machine but do
 * not fail.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * More than ten times longer than any wait on a quiet machine, and shorter than the time limit of a test
 * (vitest.config.ts), so that a wait that hangs fails with the text of its condition.
 */
export const LONGEST_WAIT_MS = 240_000
export const LONGEST_WAIT_SECONDS = LONGEST_WAIT_MS / 1000

/**
 * The same for events that a whole stack repeats after minutes (leases, deliveries, retries), in the projects
 * e2e and browser.
 */
export const LONGEST_STACK_WAIT_MS = 540_000

/**
 * Longer than the time limit of any test: work that waits so long fails its test.
 */
export const BEYOND_THE_TEST_SECONDS = 3600

const POLL_MS = 10

/**
 * Returns as soon as the condition holds. @throws with the text of the condition if it never does.
 */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + LONGEST_WAIT_MS; !(await holds()); ) {
    if (performance.now() > end) throw new Error(`not within ${LONGEST_WAIT_SECONDS} s: ${holds}`)
    await sleep(POLL_MS)
  }
}
