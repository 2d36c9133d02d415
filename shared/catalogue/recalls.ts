/** Recalls: rows that state which contents are requested in the store, and until when. */
import type { Executor } from '../database/connect.ts'
import type { Recall, ShownRecall } from '../database/replica-schema.ts'
import type { ObjectName } from '../run.ts'
import { AT_ONCE, replicaIdentity } from './replicas.ts'

export const RECALL = 'recall'

/** The unique key of the row, SHA-256 of object and contents: one recall of the same contents under a key. */
export const recallIdentity = (content: ObjectName & { readonly sha256: string }): Buffer =>
  replicaIdentity('recall', '', content)

/** The address of the object, for people. */
export const urlOfRecall = ({ bucket, objectKey }: Pick<Recall, 'bucket' | 'objectKey'>): string =>
  `s3://${bucket}/${objectKey}`

export const findRecall = async (executor: Executor, id: number): Promise<Recall | null> =>
  (await executor.selectFrom('recalls').selectAll().where('id', '=', id).executeTakeFirst()) ?? null

/** The recall of contents with the state of the work on it. */
export const recallOfContent = async (
  executor: Executor,
  content: ObjectName & { readonly sha256: string },
): Promise<ShownRecall | null> =>
  (await executor
    .selectFrom('shownRecalls')
    .selectAll()
    .where('identity', '=', recallIdentity(content))
    .executeTakeFirst()) ?? null

/** The same for many contents, read with few queries. */
export async function recallsOfContents(
  executor: Executor,
  contents: readonly (ObjectName & { readonly sha256: string })[],
): Promise<(content: ObjectName & { readonly sha256: string }) => ShownRecall | null> {
  const found = new Map<string, ShownRecall>()
  for (let at = 0; at < contents.length; at += AT_ONCE) {
    const identities = contents.slice(at, at + AT_ONCE).map(recallIdentity)
    const query = executor.selectFrom('shownRecalls').selectAll().where('identity', 'in', identities)
    for (const recall of await query.execute()) found.set(recall.identity.toString('hex'), recall)
  }
  return (content) => found.get(recallIdentity(content).toString('hex')) ?? null
}

/** All recalls of some runs. */
export async function recallsOfRuns(
  executor: Executor,
  runIds: readonly number[],
): Promise<readonly ShownRecall[]> {
  if (runIds.length === 0) return []
  return await executor
    .selectFrom('shownRecalls')
    .selectAll()
    .where('runId', 'in', runIds)
    .orderBy('id')
    .execute()
}
