/** Times as people write them in addresses and on command lines, and as they are shown. Pure. */
import * as z from 'zod'

const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/

const whole = z.iso.datetime({ offset: true })

/**
 * `2024-05-31`, `2024-05-31T12:00`, `2024-05-31 12:00:00.5+02:00`: a day begins at midnight UTC, and a time
 * without a zone is one of UTC, too. Null for anything else, also for days that there are not.
 */
export function parseTimeText(text: string): Date | null {
  const [, day = '', clock = '00:00', seconds = ':00', zone = 'Z'] = TIME.exec(text) ?? []
  const iso = `${day}T${clock}${seconds}${zone}`
  return whole.safeParse(iso).success ? new Date(iso) : null
}

/** `2026-01-15 08:00:03`, UTC. */
export const timeText = (at: Date): string => at.toISOString().slice(0, 19).replace('T', ' ')
