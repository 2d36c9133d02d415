/**
 * Writes the rows of tape copies in every state of their work, for tests that need the state and not its
 * history.
 */

import { tapeCopyTask } from '../../shared/catalogue/replicas.ts'
import type { Database } from '../../shared/database/connect.ts'
import type { Copy, CopyState, ReplicaState } from '../../shared/database/replica-schema.ts'
import type { TaskState } from '../../shared/database/work-schema.ts'

const WORK: Readonly<Partial<Record<CopyState, TaskState>>> = {
  requested: 'waiting',
  copying: 'running',
  submitted: 'pending',
  failed: 'failing',
}

/** Writes copies with the state that readers see: the facts and, for work in progress, the task. */
export async function insertCopies(database: Database, copies: readonly Omit<Copy, 'id'>[]): Promise<void> {
  const rows = copies.map((copy) => {
    const { expiresAt: _, reference: __, generation: ___, state, ...facts } = copy
    const rest = WORK[state] === undefined ? {} : { attempts: 0, nextAttemptAt: null, lastError: null }
    return {
      ...facts,
      ...rest,
      state: WORK[state] === undefined ? (state as ReplicaState) : ('planned' as const),
    }
  })
  await database.insertInto('replicas').values(rows).execute()
  const identities = copies.map(({ identity }) => identity)
  const ids = new Map(
    (
      await database
        .selectFrom('replicas')
        .select(['id', 'identity'])
        .where('identity', 'in', identities)
        .execute()
    ).map(({ id, identity }) => [identity.toString('hex'), id]),
  )
  for (const copy of copies)
    await giveWork(database, { ...copy, id: ids.get(copy.identity.toString('hex')) ?? 0 })
}

/** Changes a copy so that readers see this state and error. */
export async function showAs(database: Database, copy: Copy): Promise<void> {
  const { state, lastError } = copy
  const facts = {
    state: WORK[state] === undefined ? (state as ReplicaState) : ('planned' as const),
    lastError,
  }
  await database.updateTable('replicas').set(facts).where('id', '=', copy.id).execute()
  await giveWork(database, copy)
}

async function giveWork(database: Database, copy: Copy): Promise<void> {
  const state = WORK[copy.state]
  if (state === undefined) return
  const { requestedAt, startedAt, attempts, lastError } = copy
  const work = { state, requestedAt, startedAt, attempts, lastError }
  await database
    .insertInto('tasks')
    .values({
      ...tapeCopyTask(copy),
      ...work,
      name: `tape-copy:${copy.id}`,
      nextAttemptAt: copy.nextAttemptAt ?? requestedAt,
    })
    .onDuplicateKeyUpdate(work)
    .execute()
}
