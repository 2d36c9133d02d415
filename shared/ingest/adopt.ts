/**
 * Taking a tag over: `planAdoption` lists what a take-over time makes of its objects, `releaseHistory` treats
 * as new what is no longer older than it.
 */
import { sql } from 'kysely'
import { recoRequest } from '../catalogue/next-steps.ts'
import { inputOf } from '../catalogue/record-file.ts'
import { lockRunOfFile } from '../catalogue/run-generations.ts'
import { addHistory, refreshRun } from '../catalogue/runs.ts'
import {
  alreadyNew,
  isBefore,
  listTakeOvers,
  OTHER_TAGS,
  releaseArrivals,
  releaseFiles,
} from '../catalogue/take-over.ts'
import type { Context } from '../context.ts'
import { inTransaction } from '../database/connect.ts'
import { classify } from '../errors.ts'
import { folderOf } from '../run.ts'
import { addRequests } from '../work/outbox.ts'
import { listTag, unknownOf } from './list-tag.ts'

/** How many objects the ledger knows or not, before the take-over time and from then on. */
export interface AdoptionPlan {
  readonly before: { readonly known: number; readonly unknown: number }
  readonly after: { readonly known: number; readonly unknown: number }
  /** Files that are catalogued as history and are from this time or later: they are adopted. */
  readonly adopted: number
}

/** Changes nothing. @param tag `*` for all tags without a take-over time of their own. */
export async function planAdoption(
  context: Context<'database' | 's3'>,
  tag: string,
  since: Date,
  signal: AbortSignal,
): Promise<AdoptionPlan> {
  const own = new Set((await listTakeOvers(context.database)).map((takeOver) => takeOver.tag))
  const counts = { before: { known: 0, unknown: 0 }, after: { known: 0, unknown: 0 } }
  for (const bucket of context.config.store.rawBuckets)
    for await (const page of listTag(context, bucket, tag === OTHER_TAGS ? null : tag, signal)) {
      const objects = tag === OTHER_TAGS ? page.filter(({ key }) => !own.has(folderOf(key))) : page
      const unknown = new Set(await unknownOf(context.database, objects))
      const isNew = await alreadyNew(context.database, objects, () => since)
      for (const object of objects) {
        const isHistory = isBefore(object.lastModified, since) && !isNew.has(object)
        counts[isHistory ? 'before' : 'after'][unknown.has(object) ? 'unknown' : 'known']++
      }
    }
  const adopted = await context.database
    .selectFrom('runFiles')
    .innerJoin('runs', 'runs.id', 'runFiles.runId')
    .select((select) => select.fn.countAll<number>().as('files'))
    .where('runFiles.isHistory', '=', true)
    .where('runFiles.isLive', '=', true)
    .where('runFiles.lastModified', '>=', since)
    .$if(tag !== OTHER_TAGS, (query) => query.where('runs.tag', '=', tag))
    .$if(tag === OTHER_TAGS && own.size > 0, (query) => query.where('runs.tag', 'not in', [...own]))
    .executeTakeFirstOrThrow()
  return { ...counts, adopted: Number(adopted.files) }
}

const AT_ONCE = 200

/**
 * Files that were catalogued as history and are not older than the take-over time of their tag any more, since
 * it was set earlier, or whose run began after it: their reconstruction is requested if it would have been, and the next comparison of the
 * catalogue with the copies requests their copies on tape. A run that cannot be adopted does not prevent the
 * others: it is tried again by the next call. @returns how many runs had such files, and how many of them failed.
 */
export async function releaseHistory(
  context: Context<'database'>,
  signal: AbortSignal,
  onProgress?: (released: number) => void,
): Promise<{ readonly adopted: number; readonly failed: number }> {
  const { database, log } = context
  await releaseArrivals(database, signal)
  let [adopted, failed, after] = [0, 0, 0]
  while (!signal.aborted) {
    const runs = await database
      .selectFrom('runFiles')
      .innerJoin('runs', 'runs.id', 'runFiles.runId')
      .leftJoin('takeOvers as own', 'own.tag', 'runs.tag')
      .leftJoin('takeOvers as others', (join) => join.on('others.tag', '=', OTHER_TAGS))
      .select('runFiles.runId')
      .distinct()
      .where('runFiles.isHistory', '=', true)
      .where('runFiles.runId', '>', after)
      .where(
        sql<boolean>`(run_files.last_modified >= COALESCE(own.since, others.since)
          OR runs.started_epoch >= GREATEST(1, TIMESTAMPDIFF(SECOND, '1970-01-01', COALESCE(own.since, others.since))))`,
      )
      .orderBy('runFiles.runId')
      .limit(AT_ONCE)
      .execute()
    for (const { runId } of runs) {
      if (signal.aborted) break
      after = runId
      try {
        await releaseRun(context, runId)
        adopted++
        onProgress?.(adopted)
      } catch (error) {
        failed++
        log.error({ runId, error: classify(error) }, 'run-not-adopted')
      }
    }
    if (runs.length < AT_ONCE) break
  }
  return { adopted, failed }
}

/** With all its files: a run is new as a whole. */
async function releaseRun({ database, config, now }: Context<'database'>, runId: number): Promise<void> {
  const at = now()
  await inTransaction(database, async (trx) => {
    const history = trx
      .selectFrom('runFiles')
      .selectAll()
      .where('runId', '=', runId)
      .where('isHistory', '=', true)
    const files = await history.execute()
    const [first] = files
    if (first === undefined) return
    const locked = await lockRunOfFile(trx, first, at)
    await releaseFiles(trx, files)
    const refreshed = await refreshRun(trx, locked, { at })
    const { tag, runNumber, generation } = locked
    const run = { id: generation.id, tag, runNumber }
    const inputs = refreshed.files.map(inputOf)
    const reco = recoRequest({ run, otherContents: 0 }, refreshed.summary, inputs, config.reco.minimumEvents)
    const detail = 'request' in reco ? 'reconstruction requested' : `no reconstruction: ${reco.reason}`
    await addHistory(trx, [{ runId: run.id, what: 'history adopted', detail }], at)
    if ('request' in reco) await addRequests(trx, [reco.request], at)
  })
}
