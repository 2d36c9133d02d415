/** Recalls for tests: advance one by one step, and insert rows in every state directly. */
import { RECALL, recallIdentity } from '../../shared/catalogue/recalls.ts'
import { type RecallContext, recallTask } from '../../shared/copies/recall/recall.ts'
import type { Database } from '../../shared/database/connect.ts'
import type { CopyState, Replica, ShownRecall } from '../../shared/database/replica-schema.ts'
import type { Task, TaskState } from '../../shared/database/work-schema.ts'
import type { Logger } from '../../shared/log.ts'
import { advanceNext } from '../../shared/work/advance.ts'
import { drainRaised } from './alerts.ts'
import { type RecallTape, recallTape } from './recall-tape.ts'
import type { TestTapeContext } from './tape-context.ts'

/** No recall, task or breaker, a new endpoint, and a context with this time. */
export async function freshRecalls(
  context: TestTapeContext,
  nowMs: () => number,
): Promise<{ readonly tape: RecallTape; readonly here: TestTapeContext }> {
  for (const table of ['tasks', 'breakers', 'recalls'] as const)
    await context.database.deleteFrom(table).execute()
  await drainRaised(context)
  const tape = recallTape()
  return { tape, here: { ...context, tape, now: () => new Date(nowMs()) } }
}

export const shownRecall = (database: Database, id: number): Promise<ShownRecall> =>
  database.selectFrom('shownRecalls').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

/** Undefined when the contents were in the store at the time of the request. */
export const taskOfRecall = (database: Database, id: number): Promise<Task | undefined> =>
  database
    .selectFrom('tasks')
    .selectAll()
    .where('kind', '=', RECALL)
    .where('subjectId', '=', id)
    .executeTakeFirst()

/**
 * Advances a recall as far as possible now. @returns its state afterwards; `busy`: another function works on
 * it, `not-due`: it is checked or tried later.
 */
export async function advanceRecall(
  context: RecallContext,
  id: number,
  signal: AbortSignal,
  log: Logger,
): Promise<CopyState | 'busy' | 'not-due'> {
  const { database, config } = context
  const dependency = (await taskOfRecall(database, id))?.dependency ?? 'none'
  const turns = [{ of: 'pending' }, { of: 'due', mostAtOnce: Number.POSITIVE_INFINITY }] as const
  let ending: string | null = null
  for (const turn of turns)
    for (;;) {
      const options = { dependency, turn, limitSeconds: config.tape.copySeconds }
      const end = await advanceNext(context, recallTask, options, signal, log)
      if (end?.task.subjectId === id) ending = end.ending.kind
      if (end === null || ending !== null) break
    }
  if (ending === 'lost') return 'busy'
  const task = await taskOfRecall(database, id)
  const isOpen = task !== undefined && task.state !== 'done' && task.state !== 'given-up'
  if (ending === null && isOpen) return task.leaseOwner === null ? 'not-due' : 'busy'
  return (await shownRecall(database, id)).state
}

const WORK: Readonly<Partial<Record<CopyState, TaskState>>> = {
  requested: 'waiting',
  staging: 'pending',
  copying: 'running',
  failed: 'given-up',
}

/** Writes the recall of the contents of a copy in this state. */
export async function giveRecall(
  database: Database,
  copy: Replica,
  recall: { readonly state: CopyState; readonly expiresAt: Date; readonly etag?: string | null },
): Promise<void> {
  const { bucket, objectKey, sha256, runId, tag, runNumber, sizeBytes, md5, adler32, requestedAt } = copy
  const { state, expiresAt, etag = null } = recall
  const work = WORK[state]
  const { insertId } = await database
    .insertInto('recalls')
    .values({
      ...{ bucket, objectKey, sha256, runId, tag, runNumber, sizeBytes, md5, adler32, requestedAt },
      identity: recallIdentity({ bucket, key: objectKey, sha256 }),
      state: work === undefined ? (state as 'present' | 'expired') : 'planned',
      requestedBy: 'test',
      expiresAt,
      etag,
      storedAt: copy.storedAt,
      verifiedAt: copy.verifiedAt,
      verifiedBy: copy.verifiedBy,
      updatedAt: copy.updatedAt,
    })
    .executeTakeFirstOrThrow()
  if (work === undefined) return
  const id = Number(insertId)
  await database
    .insertInto('tasks')
    .values({
      kind: RECALL,
      name: `${RECALL}:${id}`,
      subjectId: id,
      runId,
      dependency: 'tape-read:test',
      state: work,
      requestedBy: 'test',
      requestedAt,
      nextAttemptAt: requestedAt,
    })
    .execute()
}
