/**
 * Limits equal errors in a log: while a database is down, every message and every request would write the same line.
 */

const MINUTE_MS = 60_000
/** Of equal errors, so many lines a minute are written. */
const MOST_LINES = 10
/** Different errors that are counted; lines of others are written. */
const MOST_COUNTED = 1_000

export interface RepeatLimit {
  /** False: the line is counted instead of written. @param count writes the line later, with the count. */
  isWritten(event: string, error: Error, writeCount: (repeated: number) => void): boolean
}

/** Errors are equal when the event, the kind of error and its message are. */
export function limitRepeats(): RepeatLimit {
  const minutes = new Map<string, { lines: number; writeCount: ((repeated: number) => void) | null }>()
  return {
    isWritten(event, error, writeCount) {
      const key = `${event} ${error.name} ${error.message}`
      const known = minutes.get(key)
      if (known === undefined) {
        if (minutes.size >= MOST_COUNTED) return true
        const minute = { lines: 1, writeCount: null }
        minutes.set(key, minute)
        setTimeout(() => {
          minutes.delete(key)
          endMinute(minute)
        }, MINUTE_MS).unref()
        return true
      }
      known.lines++
      if (known.lines <= MOST_LINES) return true
      known.writeCount = writeCount
      return false
    },
  }
}

const endMinute = (minute: { lines: number; writeCount: ((repeated: number) => void) | null }) =>
  minute.writeCount?.(minute.lines - MOST_LINES)
