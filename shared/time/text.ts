/** Times as typed in addresses and on command lines, and as shown. Pure. */
import * as z from 'zod'

const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/

const whole = z.iso.datetime({ offset: true })
const FIRST_MS = Date.parse('0000-01-01T00:00:00Z')
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z')

/**
 * `2024-05-31`, `2024-05-31T12:00`, `2024-05-31 12:00:00.5+02:00`: a date means midnight UTC, and a time
 * without a zone is UTC. Null for anything else, including dates that do not exist.
 */
export function parseTimeText(text: string): Date | null {
  const [, day = '', clock = '00:00', seconds = ':00', zone = 'Z'] = TIME.exec(text) ?? []
  const iso = `${day}T${clock}${seconds}${zone}`
  if (!whole.safeParse(iso).success) return null
  // An offset may lead out of the years that the database knows.
  return new Date(Math.min(Math.max(Date.parse(iso), FIRST_MS), LAST_MS))
}

/** `2026-01-15 08:00:03`, UTC. */
export const timeText = (at: Date): string => at.toISOString().slice(0, 19).replace('T', ' ')

/** Of a clock that differs from another: "12 minutes behind", "40 seconds ahead of". */
export function differenceText(differenceMs: number): string {
  const seconds = Math.round(Math.abs(differenceMs) / 1000)
  const time = seconds < 60 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`
  return `${time} ${differenceMs < 0 ? 'behind' : 'ahead of'}`
}
