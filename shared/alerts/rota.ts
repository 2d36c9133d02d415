/**
 * The rota: who is on shift, and who is second, from an iCalendar text. Pure. docs/deploy/alerts.md says how an event
 * names them.
 *
 * @example
 * const { shifts } = readRota(text, from, to)
 * onShift(shifts, at) // { first: 'Anna Rossi', second: 'Bob Smith' }
 */
import { createContext, Script } from 'node:vm'
import ICAL from 'ical.js'
import { InvalidInputError } from '../errors.ts'
import { cutText, quoted, wellFormed } from '../text.ts'
import { DAQ_TIME_ZONE } from '../time/daq-time.ts'
import { epochOfWallTime, isTimeZone } from '../time/wall-time.ts'

export interface OnShift {
  readonly first: string | null
  readonly second: string | null
}

/** Nobody is known: escalation mentions the role. */
export const NOBODY: OnShift = { first: null, second: null }

/** From its begin until before its end. */
export interface Shift extends OnShift {
  readonly startsAt: Date
  readonly endsAt: Date
}

export interface Rota {
  readonly shifts: readonly Shift[]
  /** A sentence for each event that is a shift and could not be read. */
  readonly problems: readonly string[]
}

/**
 * Who is on shift. Where shifts overlap, the one that began last counts first, so that at a handover the new person is
 * first and the old one second.
 */
export function onShift(shifts: readonly Shift[], at: Date): OnShift {
  const now = shifts
    .filter(({ startsAt, endsAt }) => startsAt <= at && at < endsAt)
    .toSorted((a, b) => b.startsAt.getTime() - a.startsAt.getTime())
  const firsts = now.flatMap(({ first }) => first ?? [])
  const seconds = now.flatMap(({ second }) => second ?? [])
  const [first = null] = firsts
  const second = [...seconds, ...firsts].find((name) => name !== first) ?? null
  return { first, second }
}

const SECOND = /\b(?:second(?:ary)?|2nd|backup|deputy)\b/iu
const FIRST = /\b(?:first|1st|primary|shift(?:er)?s?|on[- ]call|rota)\b/iu
/** `Shift: A / B`, `First shifter - A`, `A / B (shift)`. A colon before a digit is one of a time. */
const FORMS = [
  /^(?<role>.*?):(?!\d)(?<names>.+)$/su,
  /^(?<role>.*?)\s[-–—]\s(?<names>.+)$/su,
  /^(?<names>[^()]+)\((?<role>[^()]*)\)\s*$/su,
]
const LONGEST_NAME = 100

/** Whom the title of an event names; null for an event that is no shift. */
export function namesIn(title: string): OnShift | null {
  for (const form of FORMS) {
    const { role = '', names = '' } = form.exec(title)?.groups ?? {}
    const isSecond = SECOND.test(role)
    if (!isSecond && !FIRST.test(role)) continue
    // "Rossi, Anna / Smith, Bob" has commas within its names.
    const separator = /[/;&+\n]/.test(names) ? /[/;&+\n]/ : ','
    const [one = null, other = null] = names
      .split(separator)
      .map((name) => cutText(wellFormed(name).trim().replace(/\s+/g, ' '), LONGEST_NAME))
      .filter((name) => name !== '')
    if (one !== null) return isSecond ? { first: null, second: one } : { first: one, second: other }
  }
  return null
}

const DAY_MS = 86_400_000
/** Occurrences that were moved from outside of the range into it are found if they began within so long of it. */
const MOVED_MS = 31 * DAY_MS
/** For one event that repeats, and for all: some rules have no repetition, and the library looks for ever. */
const EVENT_MS = 3_000
const ALL_MS = 20_000
const MOST_PROBLEMS = 5

/**
 * The shifts that overlap a range.
 * @throws InvalidInputError when the text is no calendar, or has no shift at all, in or out of the range.
 */
export function readRota(text: string, from: Date, to: Date): Rota {
  const events = eventsIn(text)
  const shifts: Shift[] = []
  const problems: string[] = []
  const limit = createTimeLimit(ALL_MS)
  const exceptions = Map.groupBy(
    events.filter((event) => event.hasProperty('recurrence-id')),
    uidOf,
  )
  const masters = events.filter((event) => !event.hasProperty('recurrence-id'))
  const known = new Set(masters.map(uidOf))
  const orphans = [...exceptions].flatMap(([uid, all]) => (known.has(uid) ? [] : all))
  let isRota = false
  for (const event of [...masters, ...orphans]) {
    const moved = event.hasProperty('recurrence-id') ? [] : (exceptions.get(uidOf(event)) ?? [])
    if (![event, ...moved].some((each) => namesIn(titleOf(each)) !== null)) continue
    isRota = true
    try {
      const read = () => shiftsOf(event, moved, from, to)
      shifts.push(...(mayNeverEnd(event) ? limit(EVENT_MS, read) : read()))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      problems.push(
        `the event ${quoted(cutText(titleOf(event), 80))} cannot be read: ${cutText(reason, 200)}`,
      )
      if (problems.length >= MOST_PROBLEMS) break
    }
  }
  if (!isRota)
    throw new InvalidInputError(
      'no event of the calendar names a shift, such as "Shift: Anna Rossi / Bob Smith"',
    )
  return { shifts, problems }
}

function eventsIn(text: string): readonly ICAL.Component[] {
  try {
    const parsed: unknown = ICAL.parse(text.replace(/^\ufeff/, '').trim())
    const calendars = (Array.isArray(parsed) && Array.isArray(parsed[0]) ? parsed : [parsed]) as unknown[][]
    return calendars.flatMap((calendar) => new ICAL.Component(calendar).getAllSubcomponents('vevent'))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidInputError(`it is not an iCalendar: ${cutText(wellFormed(reason), 200)}`, {}, { cause })
  }
}

const textOf = (event: ICAL.Component, name: string) => String(event.getFirstPropertyValue(name) ?? '')
const titleOf = (event: ICAL.Component) => textOf(event, 'summary')
const uidOf = (event: ICAL.Component) => textOf(event, 'uid')
const isCancelled = (event: ICAL.Component) => textOf(event, 'status').toUpperCase() === 'CANCELLED'

function shiftsOf(
  component: ICAL.Component,
  exceptions: readonly ICAL.Component[],
  from: Date,
  to: Date,
): readonly Shift[] {
  const event = new ICAL.Event(component, { exceptions: [...exceptions] })
  const shiftOf = (item: ICAL.Event, start: ICAL.Time, end: ICAL.Time): readonly Shift[] => {
    if (wallMsOf(start) > to.getTime() + DAY_MS || wallMsOf(end) < from.getTime() - DAY_MS) return []
    const names = namesIn(item.summary ?? '')
    if (names === null || isCancelled(item.component)) return []
    const zone = zoneOf(item.component)
    const endsAt = dateOf(end, zoneOf(item.component, 'dtend') ?? zone)
    const shift = { ...names, startsAt: dateOf(start, zone), endsAt }
    return shift.startsAt < to && shift.endsAt > from ? [shift] : []
  }
  if (!event.isRecurring()) return shiftOf(event, event.startDate, event.endDate)
  const shifts: Shift[] = []
  const repetitions = event.iterator()
  for (let next = repetitions.next(); next; next = repetitions.next()) {
    if (wallMsOf(next) > to.getTime() + MOVED_MS) break
    if (wallMsOf(next) < from.getTime() - MOVED_MS) continue
    const { item, startDate, endDate } = event.getOccurrenceDetails(next)
    shifts.push(...shiftOf(item, startDate, endDate))
  }
  return shifts
}

const zoneNameOf = (event: ICAL.Component, property: 'dtstart' | 'dtend'): string =>
  event.getFirstProperty(property)?.getFirstParameter('tzid') ?? ''

/** The name of its time zone where that is one of the IANA; null: the calendar defines it, or it has none. */
function zoneOf(event: ICAL.Component, property: 'dtstart' | 'dtend' = 'dtstart'): string | null {
  const name = zoneNameOf(event, property)
  return isTimeZone(name) ? name : null
}

/** It has a rule of repetition, or its zone, which the calendar defines, may have one. */
const mayNeverEnd = (event: ICAL.Component): boolean =>
  event.hasProperty('rrule') || (zoneNameOf(event, 'dtstart') !== '' && zoneOf(event) === null)

/** A time of no zone, and a day, are those of the experiment. */
function dateOf(time: ICAL.Time, zone: string | null): Date {
  const isOfNoZone = time.zone?.tzid === 'floating'
  if (time.zone?.tzid === 'UTC' || (zone === null && !isOfNoZone)) return time.toJSDate()
  return new Date(epochOfWallTime(wallMsOf(time), zone ?? DAQ_TIME_ZONE))
}

/** The local time as if it was UTC: less than a day from the time itself, and quickly computed. */
const wallMsOf = ({ year, month, day, hour, minute, second }: ICAL.Time): number =>
  Date.UTC(year, month - 1, day, hour, minute, second)

/**
 * Runs work that may never end, such as the search for the 31st of February.
 * @returns a function that throws when the work takes longer than given, or all work together than `allMs`.
 */
function createTimeLimit(allMs: number): <T>(mostMs: number, work: () => T) => T {
  const began = performance.now()
  const space: { work?: () => unknown } = {}
  const context = createContext(space)
  const script = new Script('work()')
  return <T>(mostMs: number, work: () => T): T => {
    const leftMs = Math.min(mostMs, Math.ceil(began + allMs - performance.now()))
    if (leftMs <= 0) throw new Error('the calendar takes too long to read')
    space.work = work
    return script.runInContext(context, { timeout: leftMs }) as T
  }
}
