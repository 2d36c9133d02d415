/** What a recall of many runs would do, and how far it is: from the catalogue alone, nothing is changed. */

import { recallOfContent } from '../../catalogue/recalls.ts'
import { contentOfFile, replicasOfContent } from '../../catalogue/replicas.ts'
import type { Executor } from '../../database/connect.ts'
import type { Replica, ShownRecall } from '../../database/replica-schema.ts'
import type { RunId } from '../../run.ts'
import { isBackInStore, isRecalling, locateContent } from './location.ts'
import type { RunWithFiles } from './resolve-run.ts'

export interface PlannedFile extends RunId {
  readonly bucket: string
  readonly key: string
  readonly sizeBytes: number
  /** `on-tape`: a request fetches it; of files that were requested: the recall failed. */
  readonly state: 'in-store' | 'recalling' | 'on-tape' | 'unavailable'
  /** Why it is unavailable, why its last recall failed, or how far its recall is. */
  readonly reason: string | null
}

export async function planRecalls(
  executor: Executor,
  runs: readonly RunWithFiles[],
): Promise<readonly PlannedFile[]> {
  const planned: PlannedFile[] = []
  for (const { run, files } of runs)
    for (const file of files) {
      const content = contentOfFile(file, run)
      const { tag, runNumber } = run
      const replicas = await replicasOfContent(executor, content)
      const recall = await recallOfContent(executor, content)
      planned.push({
        ...{ tag, runNumber, bucket: content.bucket, key: content.key, sizeBytes: content.sizeBytes },
        ...stateOf(replicas, recall),
      })
    }
  return planned
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
  if (where.kind === 'unavailable') return { state: 'unavailable', reason: where.reason }
  return { state: 'on-tape', reason: recall?.state === 'failed' ? recall.lastError : null }
}
