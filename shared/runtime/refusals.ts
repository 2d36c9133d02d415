/**
 * The requests that an HTTP function refuses. Some senders repeat a refused request at once and for ever: Ceph sends
 * one event hundreds of times a second. So the answers are delayed, and instead of a line for each request there is
 * one for each source and minute, with the count.
 *
 * @example
 * await refusals.hold({ event: 'notification-refused', source: '192.0.2.7', reason: 'no valid token' })
 * return c.json({ error: 'unauthorized' }, 401)
 */
import type { Logger } from '../log.ts'
import { pause } from '../time/pause.ts'
import type { HostOfRequest } from './handler.ts'

const MINUTE_MS = 60_000
const FIRST_DELAY_MS = 100
/** Below the time limits of senders and gateways. */
const LONGEST_DELAY_MS = 4_000
/** While the host is ending: longest delay, and between the lines. Shorter than the rest after which it ends. */
const ENDING_MS = 1_000
/** Requests that wait at the same time: others are answered at once, since each occupies a connection and memory. */
const MOST_HELD = 32
/** Of which counts are kept. An attacker may have any number of addresses. */
const MOST_SOURCES = 1_000

export interface Refusal {
  /** Name of the log event. */
  readonly event: string
  /** Address of the sender; null where it is not known. */
  readonly source: string | null
  /** A constant text without details of the request. */
  readonly reason: string
  /** The failure on our side because of which the request is refused. */
  readonly error?: unknown
  /** True: people are alerted when it is repeated. */
  readonly isAlerted?: boolean
}

export interface RefusalCount extends Refusal {
  /** Since they were last noted. */
  readonly count: number
}

export interface RefusalOptions {
  readonly log: Logger
  /** Refusals of a source and minute that are answered at once and not logged, as they happen to people. */
  readonly tolerated?: number
  /**
   * Adds refusals of a reason to those of other processes, and alerts people. Called at the first one and at most once
   * a minute; when it fails, they are noted with those of the next minute.
   */
  readonly note?: (refusals: RefusalCount) => Promise<void>
}

export interface Refusals {
  /**
   * Counts the refusal, and returns when it may be answered. Never throws. When the host begins to end, waiting
   * requests are answered at once and later ones after at most a second: a sender that repeats would otherwise do so
   * without any delay.
   */
  hold(refusal: Refusal, host?: HostOfRequest): Promise<void>
}

interface Minute {
  count: number
  unlogged: number
  last: Refusal
  /** Refusals without a minute of rest: they determine the delay. */
  inARow: number
}

/** Each process delays and logs by itself. */
export function createRefusals({ log, tolerated = 0, note }: RefusalOptions): Refusals {
  const minutes = new Map<string, Minute>()
  const totals = new Map<string, number>()
  const notes = note === undefined ? null : createNotes(note, log)
  let held = 0
  let ending: AbortSignal | undefined

  const write = (minute: Minute) => {
    const { event, reason, isAlerted: _, ...fields } = minute.last
    const total = totals.get(reason) ?? 0
    log[fields.error === undefined ? 'warn' : 'error'](
      { ...fields, reason, count: minute.unlogged, total },
      event,
    )
    minute.unlogged = 0
  }

  const endMinute = (key: string, minute: Minute) => {
    if (minute.unlogged > 0 && minute.count > tolerated) write(minute)
    const isOver = minute.count === 0
    minute.count = 0
    minute.unlogged = 0
    if (isOver) minutes.delete(key)
    else startMinute(key, minute)
  }

  const startMinute = (key: string, minute: Minute) => {
    minutes.set(key, minute)
    setTimeout(() => endMinute(key, minute), MINUTE_MS).unref()
  }

  const minuteOf = (refusal: Refusal): Minute => {
    const known = minutes.get(keyOf(refusal))
    if (known !== undefined) return known
    const isTooMany = minutes.size >= MOST_SOURCES
    const key = keyOf(isTooMany ? { ...refusal, source: 'others' } : refusal)
    const minute = minutes.get(key) ?? { count: 0, unlogged: 0, last: refusal, inARow: 0 }
    if (!minutes.has(key)) startMinute(key, minute)
    return minute
  }

  /** No minute may end any more. */
  const writeRest = () => {
    for (const minute of minutes.values()) if (minute.unlogged > 0 && minute.count > tolerated) write(minute)
    notes?.sendAll()
    setTimeout(writeRest, ENDING_MS).unref()
  }

  const watchEnding = (signal: AbortSignal | undefined) => {
    if (signal === ending) return
    ending = signal
    if (signal?.aborted === true) writeRest()
    else signal?.addEventListener('abort', writeRest, { once: true })
  }

  return {
    async hold(refusal, host = {}) {
      watchEnding(host.ending)
      const minute = minuteOf(refusal)
      totals.set(refusal.reason, (totals.get(refusal.reason) ?? 0) + 1)
      minute.last = refusal
      minute.count++
      minute.unlogged++
      minute.inARow++
      if (refusal.isAlerted === true) notes?.add(refusal)
      if (minute.count === tolerated + 1) write(minute)
      if (minute.count <= tolerated || held >= MOST_HELD) return
      held++
      host.refuse?.()
      const delay = delayMs(minute.inARow - tolerated)
      if (ending?.aborted === true) await pause(Math.min(delay, ENDING_MS), NEVER)
      else await pause(delay, ending ?? NEVER)
      held--
    },
  }
}

/** Notes refusals by their reason, whatever the number of sources. */
function createNotes(note: NonNullable<RefusalOptions['note']>, log: Logger) {
  const due = new Map<string, RefusalCount>()
  const timers = new Map<string, NodeJS.Timeout>()
  const add = (refusals: RefusalCount) => {
    const count = refusals.count + (due.get(refusals.reason)?.count ?? 0)
    due.set(refusals.reason, { ...refusals, count })
  }
  const send = (reason: string) => {
    const refusals = due.get(reason)
    if (refusals === undefined) return void timers.delete(reason)
    due.delete(reason)
    clearTimeout(timers.get(reason))
    timers.set(reason, setTimeout(() => send(reason), MINUTE_MS).unref())
    note(refusals).catch((error: unknown) => {
      log.warn({ error, reason }, 'refusals-not-noted')
      add(refusals)
    })
  }
  return {
    add(refusal: Refusal) {
      add({ ...refusal, count: 1 })
      if (!timers.has(refusal.reason)) send(refusal.reason)
    },
    sendAll() {
      for (const reason of [...due.keys()]) send(reason)
    },
  }
}

const NEVER = new AbortController().signal

const keyOf = ({ event, source, reason }: Refusal) => `${event} ${source} ${reason}`

const delayMs = (refusals: number) =>
  Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(Math.max(0, refusals - 1), 10))
