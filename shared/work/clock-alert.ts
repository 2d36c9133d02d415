/** The alert that the clocks of a machine, or of the store, and of the database differ. */
import { differs } from '../database/clock.ts'
import type { Database } from '../database/connect.ts'
import { differenceText } from '../time/text.ts'
import { raiseDaily, resolveRaised } from './raised-alerts.ts'

/** Of a host's name, characters. */
const LONGEST_HOST = 150

/**
 * Writes the alert, counted once a day, or its end; track-arrivals sends it.
 * @param host or another owner of a clock: `the store of cygno-data`.
 * @param differenceMs its clock minus the database's.
 * @param at the database's time.
 * @param consequence for people: a sentence.
 */
export async function reportClock(
  database: Database,
  host: string,
  differenceMs: number,
  at: Date,
  consequence = "If other machines report it too, it is the database's, by which all functions work",
): Promise<void> {
  const condition = { rule: 'clock-differs', subject: host.slice(0, LONGEST_HOST) } as const
  const clock = `the clock of ${host} is ${differenceText(differenceMs)} the database's`
  if (differs(differenceMs)) {
    const summary = `${clock}: one of them is wrong. ${consequence}`
    const facts = { differenceSeconds: Math.round(differenceMs / 1000) }
    await raiseDaily(database, { ...condition, severity: 'error', summary, facts }, at)
  } else await resolveRaised(database, [{ ...condition, summary: `the clock of ${host} agrees again` }], at)
}
