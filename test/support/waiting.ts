/** How tests wait: for a condition and never for a length of time, so that a slow machine makes them slower, not red. */
import { vi } from 'vitest'

/** Far above what any wait of a test takes on a slow machine, and below the time limit of a test (vitest.config.ts): it ends what hangs. */
export const LONGEST_WAIT_MS = 240_000
export const LONGEST_WAIT_SECONDS = LONGEST_WAIT_MS / 1000

/** Longer than any test may take: work that waits for so long hangs, and the test fails at its own time limit. */
export const BEYOND_THE_TEST_SECONDS = 3600

/** Returns as soon as the condition holds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitUntil(condition, { timeout: LONGEST_WAIT_MS, interval: 10 })
}
