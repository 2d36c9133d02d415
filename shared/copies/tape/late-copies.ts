/** Alerts for copies that are not verified on the medium in time, once for each request. */

import { sql } from 'kysely'
import { alertRequest } from '../../catalogue/next-steps.ts'
import { nameOf, replicaAlert, requestOf } from '../../catalogue/replica-alerts.ts'
import { NOT_ON_MEDIA, UNPROVEN } from '../../catalogue/replica-states.ts'
import { TAPE_COPY } from '../../catalogue/replicas.ts'
import type { Context } from '../../context.ts'
import type { TapeDriver } from '../../tape/driver.ts'
import { tapeBreaker } from '../../work/breaker.ts'
import { addRequests, type Request } from '../../work/outbox.ts'
import { sendRequests } from '../../work/send-requests.ts'

type LateCopiesContext = Context<'database' | 'queues'> & { readonly tape: TapeDriver }

/** Alerts raised in one call; the next call continues. */
const PAGE = 500

/**
 * Raises an alert for every copy that is not verified on the medium CYGNET_TAPE_LATE_HOURS after its request.
 * A long backlog that was not started yet gets one alert a day: a hundred thousand alerts would hide the one
 * that matters.
 * @returns how many were raised for single copies.
 */
export async function alertLateCopies(context: LateCopiesContext, signal: AbortSignal): Promise<number> {
  const { database, config, tape } = context
  const at = context.now()
  const since = new Date(at.getTime() - config.tape.lateHours * 3_600_000)
  const late = await database
    .selectFrom('tasks')
    .innerJoin('copies', 'copies.id', 'tasks.subjectId')
    .selectAll('copies')
    .where('tasks.kind', '=', TAPE_COPY)
    .where('tasks.dependency', '=', tapeBreaker(tape.endpoint))
    .where('tasks.state', '!=', 'done')
    // Copies that a verification has found missing or suspicious have its alert.
    .where('copies.state', 'in', [...NOT_ON_MEDIA, 'failed'])
    .where('tasks.requestedAt', '<', since)
    .where((where) =>
      where.or([
        where('copies.lastError', 'is', null),
        where('copies.lastError', 'not like', `${UNPROVEN}%`),
      ]),
    )
    .where((where) => where.or([where('tasks.priority', '=', 'live'), where('tasks.attempts', '>', 0)]))
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('outbox')
            .select('outbox.id')
            .where(
              'outbox.name',
              '=',
              sql<string>`CONCAT('alert:not-on-tape:', LOWER(LEFT(HEX(copies.identity), 32)), ':', FLOOR(UNIX_TIMESTAMP(tasks.requested_at)))`,
            ),
        ),
      ),
    )
    .limit(PAGE)
    .execute()
  const alerts = late.map((replica) => {
    const why = replica.lastError === null ? '' : `: ${replica.lastError}`
    const summary = `${nameOf(replica)} is not verified on tape ${config.tape.lateHours} hours after it was requested (${replica.state})${why}`
    return replicaAlert(replica, 'not-on-tape', 'error', summary, requestOf(replica))
  })
  const all = [...alerts, ...(await backlogAlert(context, since, at))]
  await addRequests(database, all, at)
  await sendRequests(context, all, signal)
  return alerts.length
}

async function backlogAlert(
  { database, tape, config }: LateCopiesContext,
  since: Date,
  at: Date,
): Promise<readonly Request[]> {
  const { files, oldest } = await database
    .selectFrom('tasks')
    .select((of) => [
      of.fn.countAll<number>().as('files'),
      of.fn.min<Date | null>('requestedAt').as('oldest'),
    ])
    .where('kind', '=', TAPE_COPY)
    .where('dependency', '=', tapeBreaker(tape.endpoint))
    .where('state', '=', 'waiting')
    .where('priority', '=', 'backlog')
    .where('requestedAt', '<', since)
    .where('attempts', '=', 0)
    .executeTakeFirstOrThrow()
  if (oldest === null) return []
  const about = { tag: null, runNumber: null, runId: null, object: null }
  const occurrence = `${tape.endpoint.slice(0, 200)}:${at.toISOString().slice(0, 10)}`
  const summary = `${files} files of the backlog wait for their copy on tape (${tape.endpoint}) for more than ${config.tape.lateHours} hours, the oldest since ${oldest.toISOString()}`
  return [alertRequest({ rule: 'backlog-not-on-tape', severity: 'warning', summary, occurrence, ...about })]
}
