/**
 * The time of a process that has a database: that of the database, so that a machine whose clock is wrong
 * neither acts early nor writes times that never were. docs/adr/0021-one-clock.md.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { TransientError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Database } from './connect.ts'

export interface DatabaseClock {
  /**
   * The database's time (UTC), up to the time that its answer takes behind it.
   * @throws the error of the last measurement while there was no successful one.
   */
  now(): Date
  /** Ends the measurements. */
  close(): void
}

/** The clocks of this machine, milliseconds. */
export interface MachineClocks {
  /** Since 1970. People and programs set it. */
  readonly wallMs: () => number
  /** Since some moment. Nobody sets it, but it may stop while the machine is suspended. */
  readonly steadyMs: () => number
}

/** What measurements find; `at` is the database's time. */
export interface ClockReports {
  /** A difference of more than a minute, at each measurement. */
  differs(differenceMs: number, at: Date): Promise<void>
  /** Less, at the first measurement of the process, and at the first after a difference. */
  agrees(differenceMs: number, at: Date): Promise<void>
}

/** Less is the delay of a busy server. */
const ALERTED_MS = 60_000

export const differs = (differenceMs: number): boolean => Math.abs(differenceMs) > ALERTED_MS

const MACHINE: MachineClocks = { wallMs: () => Date.now(), steadyMs: () => performance.now() }

const MEASURED_EVERY_MS = 60_000
/** After a failure, and while the clocks of the machine disagree. */
const RETRIED_AFTER_MS = 1000
/** Longest wait for the first measurement: a process also starts while the database is down. */
const OPENED_WITHIN_MS = 5000
/** When the clocks of the machine moved apart by this much, one was set, or the machine was suspended. */
const JUMP_MS = 1000
const REPORTED_MS = 5000

/** The time of the database at this statement. */
export async function databaseTime(database: Database): Promise<Date> {
  const { rows } = await sql<{ time: Date }>`SELECT UTC_TIMESTAMP(3) AS time`.execute(database)
  const [row] = rows
  if (row === undefined) throw new TransientError('the database did not state its time')
  return row.time
}

/**
 * Measures the database's time, now and every minute; in between the steady clock counts. A database that
 * does not answer leaves the last measurement in force. Differences from the clock of the machine are logged
 * when they change.
 */
export async function startClock(
  database: Database,
  log: Logger,
  reports: ClockReports,
  { wallMs, steadyMs }: MachineClocks = MACHINE,
): Promise<DatabaseClock> {
  /** Database's time minus the steady clock; null until it was measured. */
  let offsetMs: number | null = null
  /** Wall clock minus the steady clock, when the last successful measurement began. */
  let wallOffsetMs = 0
  let failure: unknown = new TransientError('the database has not stated its time yet')
  /** The difference that was logged last; 0: none. */
  let loggedMs = 0
  /** A difference may be reported: by this process, or by one before it on this machine. */
  let mayBeReported = true
  let measuring: Promise<void> | null = null
  let triedAtMs = Number.NEGATIVE_INFINITY

  const measure = async () => {
    const wallBefore = wallMs()
    const before = steadyMs()
    triedAtMs = before
    try {
      const time = (await databaseTime(database)).getTime()
      // The server read its clock between the two: what agrees with both is kept, so that the time does not
      // waver with the duration of the answers. The first one is never ahead.
      const after = steadyMs()
      const least = time - after
      offsetMs = Math.min(Math.max(offsetMs ?? least, least), time - before)
      wallOffsetMs = wallBefore - before
      // The machine's clock at that moment is between these two: a slow answer proves no difference.
      const range = [wallBefore - time, wallBefore + after - before - time] as const
      const differenceMs = range[0] > 0 ? range[0] : Math.min(range[1], 0)
      logChange(differenceMs)
      await report(differenceMs, range, new Date(time)).catch((error) =>
        log.warn({ error }, 'clock-not-alerted'),
      )
    } catch (error) {
      failure = error
    } finally {
      measuring = null
    }
  }
  const report = async (differenceMs: number, range: readonly number[], at: Date) => {
    if (differs(differenceMs)) {
      mayBeReported = true
      await reports.differs(differenceMs, at)
    } else if (mayBeReported && !range.some(differs)) {
      await reports.agrees(differenceMs, at)
      mayBeReported = false
    }
  }
  /** Also when the database has failed over to a host with another clock, or the difference has ended. */
  const logChange = (differenceMs: number) => {
    const newMs = Math.abs(differenceMs) > REPORTED_MS ? differenceMs : 0
    if (Math.abs(newMs - loggedMs) <= REPORTED_MS) return
    loggedMs = newMs
    const seconds = Math.round(differenceMs / 1000)
    if (newMs === 0) log.info({ seconds }, 'clock-agrees')
    else log.warn({ seconds }, 'clock-differs')
  }
  const measureOnce = () => (measuring ??= measure())
  const measureSoon = () => {
    if (steadyMs() - triedAtMs >= RETRIED_AFTER_MS) void measureOnce()
  }
  const hasJumped = () => Math.abs(wallMs() - steadyMs() - wallOffsetMs) > JUMP_MS

  const timer = setInterval(() => {
    if (offsetMs === null || hasJumped() || steadyMs() - triedAtMs >= MEASURED_EVERY_MS) measureSoon()
  }, RETRIED_AFTER_MS).unref()
  await Promise.race([measureOnce(), sleep(OPENED_WITHIN_MS, undefined, { ref: false })])
  return {
    now() {
      if (offsetMs === null || hasJumped()) measureSoon()
      if (offsetMs === null) throw failure
      return new Date(steadyMs() + offsetMs)
    },
    close: () => clearInterval(timer),
  }
}
