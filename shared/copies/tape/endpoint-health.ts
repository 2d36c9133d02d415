/**
 * How a tape endpoint fares: while it fails, it is left alone for longer and longer, and people are told
 * once.
 */

import { alertRequest } from '../../catalogue/next-steps.ts'
import { type Database, inTransaction } from '../../database/connect.ts'
import { addRequests, type Request } from '../../work/outbox.ts'

/** So many failures in a row are the files'; more are the endpoint's. */
const FAILURES_OF_FILES = 3
const FIRST_PAUSE_MS = 15_000
const LONGEST_PAUSE_MS = 900_000
/** People are told after so many failures in a row: about six minutes of rest in vain. */
const FAILURES_TOLD = 8

const MOST_CHARACTERS = 4000

export async function noteEndpointSuccess(database: Database, endpoint: string, at: Date): Promise<void> {
  await database
    .updateTable('tapeEndpoints')
    .set({ failures: 0, pausedUntil: null, failingSince: null, lastSuccessAt: at })
    .where('endpoint', '=', endpoint)
    .execute()
}

/** Counts a failure that may be the endpoint's. Returns the alert that is due, already in the outbox. */
export async function noteEndpointFailure(
  database: Database,
  endpoint: string,
  error: string,
  at: Date,
): Promise<readonly Request[]> {
  return await inTransaction(database, async (trx) => {
    const found = await trx
      .selectFrom('tapeEndpoints')
      .selectAll()
      .where('endpoint', '=', endpoint)
      .forUpdate()
      .executeTakeFirst()
    if (found === undefined) return []
    const failures = found.failures + 1
    const failingSince = found.failingSince ?? at
    const pauseMs =
      failures <= FAILURES_OF_FILES
        ? 0
        : Math.min(FIRST_PAUSE_MS * 2 ** (failures - FAILURES_OF_FILES - 1), LONGEST_PAUSE_MS)
    const pausedUntil = pauseMs === 0 ? null : new Date(at.getTime() + pauseMs)
    await trx
      .updateTable('tapeEndpoints')
      .set({
        failures,
        pausedUntil,
        failingSince,
        lastError: error.slice(0, MOST_CHARACTERS),
      })
      .where('endpoint', '=', endpoint)
      .execute()
    if (failures < FAILURES_TOLD) return []
    const alert = alertRequest({
      rule: 'tape-endpoint-fails',
      severity: 'error',
      summary: `the tape endpoint ${endpoint} fails since ${failingSince.toISOString()}: ${error}; copies wait, nothing is lost`,
      tag: null,
      runNumber: null,
      runId: null,
      object: null,
      occurrence: `${endpoint.slice(0, 200)}:${failingSince.toISOString()}`,
    })
    await addRequests(trx, [alert], at)
    return [alert]
  })
}
