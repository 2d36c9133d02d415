/** Times as typed in addresses and on command lines, and as shown. Pure. */
import * as z from 'zod'

const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/

const whole = z.iso.datetime({ offset: true })

/**
 * `2024-05-31`, `2024-05-31T12:00`, `2024-05-31 12:00:00.5+02:00`: a date means midnight UTC, and a time
 * without a zone is UTC. Null for anything else, including dates that do not exist.
 */
export function parseTimeText(text: string): Date | null {
  const [, day = '', clock = '00:00', seconds = ':00', zone = 'Z'] = TIME.exec(text) ?? []
  const iso = `${day}T${clock}${seconds}${zone}`
  if (!whole.safeParse(iso).success) return null
  const time = new Date(iso)
  // An offset may lead out of the years that the database knows.
  return time.getUTCFullYear() >= 0 && time.getUTCFullYear() <= 9999 ? time : null
}

/** `2026-01-15 08:00:03`, UTC. */
export const timeText = (at: Date): string => at.toISOString().slice(0, 19).replace('T', ' ')
