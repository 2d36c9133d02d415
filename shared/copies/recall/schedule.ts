/** What a schedule does about recalls: those that are due go on, those whose time is over end. */

import { RECALLING } from '../../catalogue/replica-states.ts'
import { lockRun } from '../../catalogue/replicas.ts'
import { addHistory } from '../../catalogue/runs.ts'
import type { Context } from '../../context.ts'
import { inTransaction } from '../../database/connect.ts'
import type { Logger } from '../../log.ts'
import { isFree } from '../../work/lease.ts'
import { advanceRecall } from './recall.ts'

const PAGE = 500
/** Bytes may pass through us: a few at once fill the line. */
const AT_ONCE = 3
/** After so long no further one is begun: the schedule comes back. */
const BEGIN_WITHIN_MS = 45_000

export interface RecallsAdvanced {
  /** Looked at or worked on. */
  readonly advanced: number
  readonly present: number
  readonly failed: number
  readonly expired: number
}

/**
 * Takes every recall that is due one step further. One that cannot even be written down holds back no other.
 */
export async function advanceRecalls(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  signal: AbortSignal,
  log: Logger,
): Promise<RecallsAdvanced> {
  const expired = await expireRecalls(context, context.now(), signal)
  const began = performance.now()
  const due = (await dueRecalls(context)).values()
  const states: string[] = []
  const advance = async () => {
    for (const { id } of due) {
      if (signal.aborted || performance.now() - began > BEGIN_WITHIN_MS) return
      await advanceRecall(context, id, signal, log).then(
        (state) => void states.push(state),
        (error) => log.error({ error, replicaId: id }, 'recall-not-advanced'),
      )
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, advance))
  const count = (state: string) => states.filter((other) => other === state).length
  return {
    advanced: states.length - count('busy') - count('not-due'),
    present: count('present'),
    failed: count('failed'),
    expired,
  }
}

/** Those that wait longest first. A claim whose lease is over is one whose function died. */
const dueRecalls = (context: Context<'database'>) =>
  context.database
    .selectFrom('replicas')
    .select('id')
    .where('kind', '=', 'recall')
    .where((where) =>
      where.or([
        where.and([
          where('state', 'in', RECALLING),
          where.or([where('nextAttemptAt', 'is', null), where('nextAttemptAt', '<=', context.now())]),
        ]),
        where.and([where('state', '=', 'failed'), where('nextAttemptAt', '<=', context.now())]),
      ]),
    )
    .where(isFree())
    .orderBy('nextAttemptAt')
    .orderBy('id')
    .limit(PAGE)
    .execute()

/** From then on the file in the store falls under the cleaner's rules again; nothing is deleted here. */
export async function expireRecalls(
  { database }: Context<'database'>,
  at: Date,
  signal: AbortSignal,
): Promise<number> {
  const over = await database
    .selectFrom('replicas')
    .select(['id', 'runId', 'url'])
    .where('kind', '=', 'recall')
    .where('state', '=', 'present')
    .where('expiresAt', '<=', at)
    .orderBy('expiresAt')
    .limit(PAGE)
    .execute()
  let expired = 0
  for (const { id, runId, url } of over) {
    if (signal.aborted) break
    expired += await inTransaction(database, async (trx) => {
      await lockRun(trx, runId)
      // Somebody may have asked for it to stay longer since.
      const result = await trx
        .updateTable('replicas')
        .set({ state: 'expired', updatedAt: at })
        .where('id', '=', id)
        .where('state', '=', 'present')
        .where('expiresAt', '<=', at)
        .executeTakeFirst()
      if (result.numUpdatedRows === 0n) return 0
      await addHistory(trx, [{ runId, what: 'recall over', detail: `${url} may leave the store again` }], at)
      return 1
    })
  }
  return expired
}
