/** The objects of one tag in a bucket that may be runs, and those of them that are not in the ledger. */
import { lookUpArrivals } from '../catalogue/arrivals.ts'
import type { Context } from '../context.ts'
import type { Database } from '../database/connect.ts'
import { classify } from '../errors.ts'
import { routeKey } from '../notifications/route-key.ts'
import { folderOf, type ObjectVersion } from '../run.ts'
import { listObjects, type UndescribedEntry } from '../storage/objects.ts'

/** Whether an object may be a run, by its key. */
export const mayBeRun = ({ config }: Pick<Context, 'config'>) => {
  const { ignoredPrefixes } = config.store
  return (key: string): boolean => routeKey(key, ignoredPrefixes).kind !== 'ignored'
}

/** Logs the entries that the store does not describe. */
export function logUndescribed({ log }: Pick<Context, 'log'>, entries: readonly UndescribedEntry[]): void {
  for (const { bucket, key, error } of entries)
    log.error({ bucket, key, error: classify(error) }, 'object-not-described')
}

/** Page by page. `tag`: '' for keys without a folder, null for all. */
export async function* listTag(
  context: Context<'s3'>,
  bucket: string,
  tag: string | null,
  signal: AbortSignal,
): AsyncGenerator<readonly ObjectVersion[]> {
  const prefix = tag === null || tag === '' ? '' : `${tag}/`
  const isRun = mayBeRun(context)
  const isWanted = (key: string) => (tag === null || folderOf(key) === tag) && isRun(key)
  for (let startAfter: string | null = null; ; ) {
    const page: Awaited<ReturnType<typeof listObjects>> = await listObjects(
      context.s3,
      { bucket, prefix, startAfter, isWanted },
      signal,
    )
    logUndescribed(context, page.undescribed)
    yield page.objects
    startAfter = page.last
    if (startAfter === null) return
  }
}

/** Of objects of one bucket. */
export async function unknownOf(
  database: Database,
  objects: readonly ObjectVersion[],
): Promise<readonly ObjectVersion[]> {
  const [first] = objects
  if (first === undefined) return []
  const keys = objects.map(({ key }) => key)
  const arrivals = await lookUpArrivals(database, first.bucket, keys)
  const known = new Set(arrivals.map(({ arrival }) => `${arrival.objectKey}\0${arrival.etag}`))
  return objects.filter(({ key, etag }) => !known.has(`${key}\0${etag}`))
}
