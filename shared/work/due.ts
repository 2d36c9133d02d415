/**
 * When stored times are due. The clock of the database's host may have been ahead when a time was written, by
 * days after a failover to another host. A time further ahead than anything waits was written then, and is due:
 * otherwise the work would wait until that time. docs/adr/0021-one-clock.md.
 */
import { type RawBuilder, type SqlBool, sql } from 'kysely'

/** The times of two processes differ by less. */
const MARGIN_MS = 60_000

/** The latest time that can have been written by a clock that is right. */
export const latestTime = (at: Date, longestMs: number): Date =>
  new Date(at.getTime() + longestMs + MARGIN_MS)

/** @param longestMs the longest wait that is ever written. */
export const isDue = (time: Date, at: Date, longestMs: number): boolean =>
  time <= at || time > latestTime(at, longestMs)

/** `isDue` of `next_attempt_at` in a statement, as two ranges of an index. */
export const isAttemptDue = (at: Date, longestMs: number): RawBuilder<SqlBool> =>
  sql<SqlBool>`(next_attempt_at <= ${at} OR next_attempt_at > ${latestTime(at, longestMs)})`
