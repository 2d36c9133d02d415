/** What a recall of many runs would do, and how far it is: from the catalogue alone, nothing is changed. */

import { recallsOfContents } from '../../catalogue/recalls.ts'
import { contentOfFile, replicasOfContents } from '../../catalogue/replicas.ts'
import type { Executor } from '../../database/connect.ts'
import type { Replica, ShownRecall } from '../../database/replica-schema.ts'
import type { RunId } from '../../run.ts'
import { isBackInStore, isRecalling, locateContent } from './location.ts'
import type { RunWithFiles } from './resolve-run.ts'

export interface PlannedFile extends RunId {
  readonly bucket: string
  readonly key: string
  readonly sizeBytes: number
  /**
   * `on-tape`: a request fetches it; of files that were requested: the recall failed. `failed`: so did the recall, and
   * the copy on tape is not usable any more.
   */
  readonly state: 'in-store' | 'recalling' | 'on-tape' | 'unavailable' | 'failed'
  /** Why it is unavailable, why its last recall failed, or how far its recall is. */
  readonly reason: string | null
}

export async function planRecalls(
  executor: Executor,
  runs: readonly RunWithFiles[],
): Promise<readonly PlannedFile[]> {
  const contents = runs.flatMap(({ run, files }) => files.map((file) => contentOfFile(file, run)))
  const replicasOf = await replicasOfContents(executor, contents)
  const recallOf = await recallsOfContents(executor, contents)
  return contents.map((content) => {
    const { run, bucket, key, sizeBytes } = content
    const { tag, runNumber } = run
    const state = stateOf(replicasOf(content), recallOf(content))
    return { tag, runNumber, bucket, key, sizeBytes, ...state }
  })
}

function stateOf(
  replicas: readonly Replica[],
  recall: ShownRecall | null,
): Pick<PlannedFile, 'state' | 'reason'> {
  const where = locateContent(replicas)
  const cloud = replicas.find(({ kind }) => kind === 'cloud')
  if (where.kind === 'in-store' || isBackInStore(recall ?? undefined, cloud))
    return { state: 'in-store', reason: null }
  if (recall !== null && isRecalling(recall)) return { state: 'recalling', reason: recall.lastError }
  if (where.kind === 'unavailable')
    return recall?.state === 'failed'
      ? { state: 'failed', reason: [recall.lastError, where.reason].filter(Boolean).join('; ') }
      : { state: 'unavailable', reason: where.reason }
  return { state: 'on-tape', reason: recall?.state === 'failed' ? recall.lastError : null }
}
