/** The alert that the clocks of a machine, or of the store, and of the database differ. */
import type { Database } from '../database/connect.ts'
import { differenceText } from '../time/text.ts'
import { addRequests } from './outbox.ts'

/** Of a host's name, in the name of the alert. */
const LONGEST_HOST = 200

/**
 * Writes the alert, once a host and day; track-arrivals sends it.
 * @param host or another owner of a clock: `the store of cygno-data`.
 * @param differenceMs its clock minus the database's.
 * @param at the database's time.
 * @param consequence for people: a sentence.
 */
export async function alertClock(
  database: Database,
  host: string,
  differenceMs: number,
  at: Date,
  consequence = "If other machines report it too, it is the database's, by which all functions work",
): Promise<void> {
  const fingerprint = `clock-differs:${host.slice(0, LONGEST_HOST)}:${at.toISOString().slice(0, 10)}`
  const body = {
    fingerprint,
    rule: 'clock-differs',
    severity: 'error',
    summary: `the clock of ${host} is ${differenceText(differenceMs)} the database's: one of them is wrong. ${consequence}`,
    tag: null,
    runNumber: null,
    bucket: null,
    key: null,
  } as const
  await addRequests(database, [{ name: `alert:${fingerprint}`, queue: 'alerts', runId: null, body }], at)
}
