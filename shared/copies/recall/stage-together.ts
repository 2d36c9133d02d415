/**
 * Requests all files whose recalls are new with one stage request, where the endpoint can: it then reads them
 * in the order of their positions on tape. Everything after that is done for each recall by itself.
 */
import { findRecall, RECALL } from '../../catalogue/recalls.ts'
import { contentOf, replicasOfContent } from '../../catalogue/replicas.ts'
import type { Database } from '../../database/connect.ts'
import type { Task } from '../../database/work-schema.ts'
import type { TapeFile } from '../../tape/driver.ts'
import { advanceNext } from '../../work/advance.ts'
import { tapeReadBreaker } from '../../work/breaker.ts'
import { type Prepared, prepareTogether } from '../../work/together.ts'
import { tapeFileOf } from '../verify/check-replica.ts'
import { tapeCopyOf } from './location.ts'
import { type RecallContext, recallTask, STAGE_SECONDS } from './recall.ts'

/** Tape systems refuse requests of unlimited size. */
const MOST_FILES = 500

/** Files that were not checked in this time are requested later: a slow endpoint must not use up the function. */
const CHECK_SECONDS = 60

/** Only requests staging: a file that is online already waits for its turn to be fetched. */
export const stageOnly: typeof recallTask = { ...recallTask, act: async () => ({ kind: 'ready' }) }
export const UNTRIED = { of: 'due', mostAtOnce: Number.POSITIVE_INFINITY, onlyUntried: true } as const

/**
 * Returns when no new recall is due any more, when a request failed, or after a minute. If the answer to a request
 * is lost, its files are requested again; the endpoint ends the first request when its lifetime is over.
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
    const limits = { lifetimeSeconds: STAGE_SECONDS, checkSeconds: CHECK_SECONDS }
    const staged = await stageAll([...files.keys()], limits, held)
    if (staged === null) return null
    const tasksOf = (some: readonly TapeFile[]) => some.flatMap((file) => files.get(file) ?? [])
    const isAvailable = new Set(files.values())
    const unavailable = tasks.filter((task) => !isAvailable.has(task))
    return {
      reference: staged.reference,
      tasks: tasksOf(staged.files),
      leftOut: [...unavailable, ...tasksOf(staged.leftOut)],
    }
  }
  const options = { kind: RECALL, dependency, part: 'stage', most: MOST_FILES }
  const began = performance.now()
  let hasProbed = false
  while (!signal.aborted && performance.now() - began < CHECK_SECONDS * 1000) {
    const prepared = await prepareTogether(context, { ...options, hasProbed }, request, signal)
    if (prepared === 0) return
    if (prepared !== 'half-open') continue
    const limitSeconds = context.config.tape.copySeconds
    const probing = { dependency, turn: UNTRIED, limitSeconds }
    const probe = await advanceNext(context, stageOnly, probing, signal, context.log)
    hasProbed = probe?.ending.kind === 'pending' || probe?.ending.kind === 'ready'
    if (!hasProbed) return
  }
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
