/** When a task is tried or checked again. */

const FIRST_RETRY_MS = 60_000
const LONGEST_RETRY_MS = 6 * 3_600_000
const FIRST_CHECK_MS = 30_000
const LONGEST_CHECK_MS = 900_000
const JITTER = 0.1

/** The longest waits that follow from these, with their jitter. */
export const LONGEST_WAIT_MS = {
  retry: LONGEST_RETRY_MS * (1 + JITTER),
  check: LONGEST_CHECK_MS * (1 + JITTER),
} as const

/**
 * The delay doubles from a minute up to six hours and then stays there: a run that is not on tape is never
 * given up. The jitter is ±10 %.
 */
export const retryAt = (at: Date, attempts: number, random: () => number = Math.random): Date =>
  later(at, Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempts - 1, 30), LONGEST_RETRY_MS), random)

/** An external job is checked every half minute at first, and less often the longer it takes. */
export function nextCheckAt(at: Date, since: Date | null, random: () => number = Math.random): Date {
  const soFarMs = Math.max(0, at.getTime() - (since ?? at).getTime())
  return later(at, Math.min(Math.max(FIRST_CHECK_MS, soFarMs / 10), LONGEST_CHECK_MS), random)
}

const later = (at: Date, ms: number, random: () => number) =>
  new Date(at.getTime() + Math.round(ms * (1 - JITTER + 2 * JITTER * random())))
