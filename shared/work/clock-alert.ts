/** The alert that the clocks of a machine, or of the store, and of the database differ. */
import type { Database } from '../database/connect.ts'
import { differenceText } from '../time/text.ts'
import { addRequests } from './outbox.ts'
import { alert } from './raise-alert.ts'

/** Of a host's name, characters. */
const LONGEST_HOST = 150

/**
 * Writes the alert, once a host and day; track-arrivals sends it.
 * @param host or another owner of a clock: `the store of cygno-data`.
 * @param differenceMs its clock minus the database's.
 * @param at the database's time.
 */
export async function alertClock(
  database: Database,
  host: string,
  differenceMs: number,
  at: Date,
): Promise<void> {
  const summary = `the clock of ${host} is ${differenceText(differenceMs)} the database's: one of them is wrong. If other machines report it too, it is the database's, by which all functions work`
  const cause = `${host.slice(0, LONGEST_HOST)}:${at.toISOString().slice(0, 10)}`
  const subject = host.slice(0, LONGEST_HOST)
  const request = alert({ rule: 'clock-differs', severity: 'error', subject, summary, cause })
  await addRequests(database, [request], at)
}
