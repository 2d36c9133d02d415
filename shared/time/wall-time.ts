/** Local times of any time zone. Pure. */

const formats = new Map<string, Intl.DateTimeFormat>()

/** @throws RangeError for what is no zone. */
function formatOf(zone: string): Intl.DateTimeFormat {
  const format =
    formats.get(zone) ??
    new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
  formats.set(zone, format)
  return format
}

/** Whether it is the name of a zone, such as Europe/Rome. */
export function isTimeZone(name: string): boolean {
  try {
    formatOf(name)
    return true
  } catch {
    return false
  }
}

const DAY_MS = 86_400_000

/** What clocks in the zone show at a time: milliseconds, as if it was UTC. */
const wallTimeOf = (epochMs: number, zone: string): number =>
  Date.parse(`${formatOf(zone).format(epochMs).replace(' ', 'T')}Z`)

const offsetAt = (epochMs: number, zone: string): number => wallTimeOf(epochMs, zone) - epochMs

/**
 * When clocks in the zone show a time. By RFC 5545, the first of two in autumn; one that is skipped in spring counts
 * as if it was not yet, so that 02:30 is what clocks show as 03:30.
 * @param wallMs the local time in milliseconds, as if it was UTC.
 * @param zone a time zone.
 */
export function epochOfWallTime(wallMs: number, zone: string): number {
  const before = wallMs - offsetAt(wallMs - DAY_MS, zone)
  const after = wallMs - offsetAt(wallMs + DAY_MS, zone)
  if (wallTimeOf(before, zone) === wallMs) return before
  return wallTimeOf(after, zone) === wallMs ? after : before
}
