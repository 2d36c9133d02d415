/** Advances recalls that are due, and ends those whose time in the store is over. */
import { RECALL, urlOfRecall } from '../../catalogue/recalls.ts'
import { lockRun } from '../../catalogue/replicas.ts'
import { addHistory } from '../../catalogue/runs.ts'
import type { Context } from '../../context.ts'
import { inTransaction } from '../../database/connect.ts'
import type { Logger } from '../../log.ts'
import { type Advanced, type AdvanceOptions, advance } from '../../work/advance.ts'
import { purgeRequests } from './budget.ts'
import { type RecallContext, recallTask } from './recall.ts'
import { stageOnly, stageTogether, UNTRIED } from './stage-together.ts'

const PAGE = 500
/** Recalls checked at a time: each check is a short request. */
const CHECKS_AT_ONCE = 8

type Ends = readonly Advanced<unknown>[]

/**
 * Ends recalls whose time is over, checks those that the endpoint is staging, and requests staging of new ones. Short
 * requests: no bytes are transferred.
 */
export async function followRecalls(host: RecallContext, signal: AbortSignal, log: Logger) {
  const context = { ...host, round: {} }
  const expired = await expireRecalls(context, context.now(), signal)
  await purgeRequests(context, context.now())
  // The key is checked first: the file may have come into the store in another way.
  const turn = { of: 'pending', usesNeeds: true } as const
  const followed = await advanceAll(context, recallTask, { turn, atOnce: CHECKS_AT_ONCE }, signal, log)
  return { expired, ...countsOf([...followed, ...(await requestStaging(context, signal, log))]) }
}

/** Of tasks that were checked or fetched. */
export function countsOf(ends: Ends) {
  const count = (...kinds: readonly string[]) =>
    ends.filter(({ ending }) => kinds.includes(ending.kind)).length
  return {
    advanced: ends.length - count('lost'),
    present: count('done'),
    failed: count('failed', 'given-up'),
  }
}

/**
 * Staging of all new files is requested first, with one request where the endpoint takes it: it takes hours, and an
 * endpoint that has all requests can order them by position on the medium.
 */
async function requestStaging(context: RecallContext, signal: AbortSignal, log: Logger): Promise<Ends> {
  await stageTogether(context, signal)
  return await advanceAll(context, stageOnly, { turn: UNTRIED, atOnce: CHECKS_AT_ONCE }, signal, log)
}

/**
 * Requests staging of files, and fetches those that are online.
 * @param atOnce files: their bytes may pass through this process, and a few saturate the network.
 */
export async function fetchRecalls(
  host: RecallContext,
  atOnce: number,
  signal: AbortSignal,
  log: Logger,
): Promise<Ends> {
  const context = { round: {}, ...host }
  const asked = await requestStaging(context, signal, log)
  const turn = { of: 'due', mostAtOnce: context.config.recall.atOnce } as const
  return [...asked, ...(await advanceAll(context, recallTask, { turn, atOnce }, signal, log))]
}

/**
 * Advances recalls at every endpoint that has unfinished ones, also if it is not the configured one any more:
 * recalls that cannot be served must be given up, not forgotten.
 */
async function advanceAll(
  context: RecallContext,
  kind: typeof recallTask,
  options: Pick<AdvanceOptions, 'turn' | 'atOnce'>,
  signal: AbortSignal,
  log: Logger,
): Promise<Ends> {
  const limitSeconds = context.config.tape.copySeconds
  const endpoints = await context.database
    .selectFrom('tasks')
    .select('dependency')
    .distinct()
    .where('kind', '=', RECALL)
    .where('state', 'not in', ['done', 'given-up'])
    .execute()
  const ends: Advanced<unknown>[] = []
  for (const { dependency } of endpoints)
    ends.push(...(await advance(context, kind, { ...options, dependency, limitSeconds }, signal, log)))
  return ends
}

/** Ends recalls whose time is over: the cleaner may then delete the object. Nothing is deleted here. */
export async function expireRecalls(
  { database }: Context<'database'>,
  at: Date,
  signal: AbortSignal,
): Promise<number> {
  const over = await database
    .selectFrom('recalls')
    .select(['id', 'runId', 'bucket', 'objectKey'])
    .where('state', '=', 'present')
    .where('expiresAt', '<=', at)
    .orderBy('expiresAt')
    .limit(PAGE)
    .execute()
  let expired = 0
  for (const recall of over) {
    if (signal.aborted) break
    expired += await inTransaction(database, async (trx) => {
      await lockRun(trx, recall.runId)
      // The conditions are checked again: a request may have extended the time since.
      const result = await trx
        .updateTable('recalls')
        .set({ state: 'expired', updatedAt: at })
        .where('id', '=', recall.id)
        .where('state', '=', 'present')
        .where('expiresAt', '<=', at)
        .executeTakeFirst()
      if (result.numUpdatedRows === 0n) return 0
      const detail = `${urlOfRecall(recall)} may leave the store again`
      await addHistory(trx, [{ runId: recall.runId, what: 'recall over', detail }], at)
      return 1
    })
  }
  return expired
}
