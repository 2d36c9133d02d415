/**
 * Replay: sends objects through the queue of the notifications again, whether they were processed before or
 * not. `planReplay` finds them, `replay` does it.
 */
import { sql } from 'kysely'
import { endRefusal } from '../catalogue/end-refusal.ts'
import type { Context } from '../context.ts'
import { findArrivalsOfRun } from '../queries/runs.ts'
import { type ObjectVersion, parseRunKey } from '../run.ts'
import { describeObject, listObjects } from '../storage/objects.ts'
import { logUndescribed, mayBeRun } from './list-tag.ts'
import { announce } from './reconcile.ts'

export type ReplaySelection =
  | { readonly by: 'run'; readonly runNumber: number; readonly tag: string | null }
  | { readonly by: 'key'; readonly bucket: string; readonly key: string }
  | { readonly by: 'prefix'; readonly bucket: string; readonly prefix: string }
  | { readonly by: 'since'; readonly since: Date }

export interface ReplayPlan {
  /** Objects that are in the store now. */
  readonly objects: readonly ObjectVersion[]
  /** Selected, but not in the store any more. */
  readonly gone: readonly { readonly bucket: string; readonly key: string }[]
}

/** Finds the objects of a selection that are in the store now. Changes nothing. */
export async function planReplay(
  context: Context<'database' | 's3'>,
  selection: ReplaySelection,
  signal: AbortSignal,
): Promise<ReplayPlan> {
  if (selection.by === 'prefix') return { objects: await listRuns(context, selection, signal), gone: [] }
  const names =
    selection.by === 'key'
      ? [{ bucket: selection.bucket, key: selection.key }]
      : await namesOf(context, selection)
  const objects: ObjectVersion[] = []
  const gone: { bucket: string; key: string }[] = []
  for (const name of names) {
    const object = await describeObject(context.s3, name, signal)
    if (object === null) gone.push(name)
    else objects.push(object)
  }
  return { objects, gone }
}

/**
 * Resets the ledger's rows and announces the objects. An arrival that is in progress is not reset. An object
 * that was refused, and deleted since, is no open problem any more.
 */
export async function replay(
  context: Context<'database' | 'queues'>,
  plan: ReplayPlan,
  signal: AbortSignal,
): Promise<void> {
  for (const object of plan.gone) await endRefusal(context.database, object, context.now())
  for (let start = 0; start < plan.objects.length; start += 100) {
    const part = plan.objects.slice(start, start + 100)
    for (const object of part)
      await context.database
        .updateTable('arrivals')
        .set({
          state: 'received',
          outcome: null,
          reason: 'to be replayed',
          attempts: 0,
          restarts: sql`restarts + 1`,
          nextAttemptAt: context.now(),
          finishedAt: null,
        })
        .where('bucket', '=', object.bucket)
        .where('objectKey', '=', object.key)
        .where('etag', '=', object.etag)
        .where('state', 'in', ['done', 'invalid', 'failed', 'received'])
        .execute()
    await announce(context, part, 'replay', signal)
  }
}

async function namesOf(
  context: Context<'database'>,
  selection: Extract<ReplaySelection, { by: 'run' | 'since' }>,
): Promise<readonly { readonly bucket: string; readonly key: string }[]> {
  if (selection.by === 'since')
    return await context.database
      .selectFrom('arrivals')
      .select(['bucket', 'objectKey as key'])
      .distinct()
      .where('receivedAt', '>=', selection.since)
      .orderBy('bucket')
      .orderBy('objectKey')
      .execute()
  const { tag, runNumber } = selection
  const arrivals = await findArrivalsOfRun(context.database, { runNumber, tag: tag ?? undefined })
  const named = arrivals.map((arrival) => ({ bucket: arrival.bucket, key: arrival.objectKey }))
  const catalogued = await context.database
    .selectFrom('runFiles')
    .innerJoin('runs', 'runs.id', 'runFiles.runId')
    .select(['runFiles.bucket', 'runFiles.objectKey as key'])
    .where('runs.runNumber', '=', runNumber)
    .where('runFiles.isLive', '=', true)
    .execute()
  const byName = new Map([...named, ...catalogued].map((name) => [`${name.bucket}/${name.key}`, name]))
  return [...byName.values()].filter((name) => tag === null || parseRunKey(name.key)?.tag === tag)
}

async function listRuns(
  context: Context<'s3'>,
  where: { bucket: string; prefix: string },
  signal: AbortSignal,
): Promise<readonly ObjectVersion[]> {
  const found: ObjectVersion[] = []
  let startAfter: string | null = null
  do {
    const page: Awaited<ReturnType<typeof listObjects>> = await listObjects(
      context.s3,
      { ...where, startAfter, isWanted: mayBeRun(context) },
      signal,
    )
    logUndescribed(context, page.undescribed)
    found.push(...page.objects)
    startAfter = page.last
  } while (startAfter !== null)
  return found
}
