/**
 * Runs whose first sign is what the DAQ's logger wrote into the legacy Runlog, before any file of theirs
 * arrives. How it writes: docs/deploy/logger.md.
 */
import { sql } from 'kysely'
import { lockUses } from '../catalogue/run-uses.ts'
import type { Context } from '../context.ts'
import { inTransaction } from '../database/connect.ts'
import type { RunId } from '../run.ts'

/** The next beat takes the rest. */
const TAKEN_AT_ONCE = 500

/**
 * Takes every row of the Runlog that the logger wrote to since Cygnet last did: the run exists from then on,
 * and its end is noted. Each is a transaction of its own: one that fails is logged and holds up no other.
 * @returns how many rows had anything new.
 */
export async function takeLoggedRuns({
  database,
  now,
  log,
}: Pick<Context<'database'>, 'database' | 'now' | 'log'>): Promise<number> {
  const { rows } = await sql<RunId>`SELECT tag, run_number FROM Runlog
    WHERE logged_at IS NOT NULL AND tag <> '' ORDER BY logged_at LIMIT ${TAKEN_AT_ONCE}`.execute(database)
  let taken = 0
  for (const run of rows)
    try {
      const { logged } = await inTransaction(database, (trx) => lockUses(trx, run, now()))
      if (logged) taken++
    } catch (error) {
      log.error({ error, tag: run.tag, run: run.runNumber }, 'logged-run-waits')
    }
  return taken
}
