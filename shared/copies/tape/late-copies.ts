/** Alerts for copies that are not verified on the medium in time, once for each request. */

import { sql } from 'kysely'
import { causeOf, fileOf, nameOf, requestOf } from '../../catalogue/replica-alerts.ts'
import { NOT_ON_MEDIA, UNPROVEN } from '../../catalogue/replica-states.ts'
import { TAPE_COPY } from '../../catalogue/replicas.ts'
import type { Context } from '../../context.ts'
import type { TapeDriver } from '../../tape/driver.ts'
import { tapeBreaker } from '../../work/breaker.ts'
import { addRequests, type Request } from '../../work/outbox.ts'
import { alert } from '../../work/raise-alert.ts'
import { raiseDaily, resolveRaised } from '../../work/raised-alerts.ts'
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
    // What was given up has an alert of its own.
    .where('tasks.state', 'not in', ['done', 'given-up'])
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
    return alert({
      rule: 'not-on-tape',
      severity: 'error',
      subject: tape.endpoint,
      ...fileOf(replica),
      summary,
      facts: { requestedAt: replica.requestedAt.toISOString(), sizeBytes: replica.sizeBytes },
      cause: causeOf(replica, requestOf(replica)),
    })
  })
  await addRequests(database, alerts, at)
  await sendRequests(context, [...alerts, ...(await alertBacklog(context, since, at))], signal)
  return alerts.length
}

async function alertBacklog(
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
  const condition = { rule: 'backlog-not-on-tape', subject: tape.endpoint } as const
  if (oldest === null) {
    const summary = `no file of the backlog waits longer than ${config.tape.lateHours} hours for its copy on tape`
    return await resolveRaised(database, [{ ...condition, summary }], at)
  }
  const summary = `${files} files of the backlog wait for their copy on tape (${tape.endpoint}) for more than ${config.tape.lateHours} hours, the oldest since ${oldest.toISOString()}`
  const facts = { files: Number(files), oldestSince: oldest.toISOString() }
  return [await raiseDaily(database, { ...condition, severity: 'warning', summary, facts }, at)]
}
