/** When a copy is tried, or looked at, again. */

const FIRST_RETRY_MS = 60_000
const LONGEST_RETRY_MS = 6 * 3_600_000
const FIRST_LOOK_MS = 30_000
const LONGEST_LOOK_MS = 900_000

/**
 * Doubles from a minute to six hours, where it stays: a run off tape is never given up. A fifth of it is
 * jitter.
 */
export const retryAt = (at: Date, attempts: number, random: () => number = Math.random): Date =>
  later(at, Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempts - 1, 30), LONGEST_RETRY_MS), random)

/** A service at work is asked at first every half minute; the longer it takes, the more seldom. */
export function nextLookAt(at: Date, since: Date | null, random: () => number = Math.random): Date {
  const soFarMs = Math.max(0, at.getTime() - (since ?? at).getTime())
  return later(at, Math.min(Math.max(FIRST_LOOK_MS, soFarMs / 10), LONGEST_LOOK_MS), random)
}

const later = (at: Date, ms: number, random: () => number) =>
  new Date(at.getTime() + Math.round(ms * (0.9 + 0.2 * random())))
