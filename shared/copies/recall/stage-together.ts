/**
 * Requests all files whose recalls are new with one stage request, where the endpoint can: it then reads them
 * in the order of their positions on tape. Everything after that is done for each recall by itself.
 */
import { dependencyAlert } from '../../catalogue/next-steps.ts'
import { findRecall, RECALL } from '../../catalogue/recalls.ts'
import { contentOf, replicasOfContent } from '../../catalogue/replicas.ts'
import type { Database } from '../../database/connect.ts'
import type { Task } from '../../database/work-schema.ts'
import type { TapeFile } from '../../tape/driver.ts'
import { tapeReadBreaker } from '../../work/breaker.ts'
import { type Prepared, prepareTogether } from '../../work/together.ts'
import { tapeFileOf } from '../verify/check-replica.ts'
import { tapeCopyOf } from './location.ts'
import { type RecallContext, STAGE_SECONDS } from './recall.ts'

/** Tape systems refuse requests of unlimited size. */
const MOST_FILES = 500

/**
 * Returns when no new recall is due any more, or when a request failed. If the answer to a request is lost, its
 * files are requested again; the endpoint ends the first request when its lifetime is over.
 */
export async function stageTogether(context: RecallContext, signal: AbortSignal): Promise<void> {
  const { tape, database } = context
  if (tape?.stageAll === undefined) return
  const stageAll = tape.stageAll.bind(tape)
  const dependency = tapeReadBreaker(tape.endpoint)
  const request = async (tasks: readonly Task[], held: AbortSignal): Promise<Prepared | null> => {
    const files = new Map<TapeFile, Task>()
    for (const task of tasks) {
      const file = await fileOfRecall(database, task, tape.endpoint)
      if (file !== null) files.set(file, task)
    }
    if (files.size === 0) return null
    const staged = await stageAll([...files.keys()], { lifetimeSeconds: STAGE_SECONDS }, held)
    if (staged === null) return null
    return { ...staged, tasks: staged.files.flatMap((file) => files.get(file) ?? []) }
  }
  const options = { kind: RECALL, dependency, part: 'stage', most: MOST_FILES, dependencyAlert }
  while (!signal.aborted && (await prepareTogether(context, options, request, signal)) > 0);
}

/** Null when the recall is over, or the endpoint has no verified copy: `check` then ends it. */
async function fileOfRecall(
  database: Database,
  { subjectId }: Task,
  endpoint: string,
): Promise<TapeFile | null> {
  const recall = await findRecall(database, subjectId)
  if (recall?.state !== 'planned') return null
  const copy = tapeCopyOf(await replicasOfContent(database, contentOf(recall)), endpoint)
  return copy === null ? null : tapeFileOf(copy)
}
