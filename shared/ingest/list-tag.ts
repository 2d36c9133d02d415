/** The objects of one tag in a bucket that may be runs, and those of them that are not in the ledger. */
import { lookUpArrivals } from '../catalogue/arrivals.ts'
import type { Context } from '../context.ts'
import type { Database } from '../database/connect.ts'
import { routeKey } from '../notifications/route-key.ts'
import { folderOf, type ObjectVersion } from '../run.ts'
import { listObjects } from '../storage/objects.ts'

/** Page by page. `tag`: '' for keys without a folder, null for all. */
export async function* listTag(
  { s3, config }: Context<'s3'>,
  bucket: string,
  tag: string | null,
  signal: AbortSignal,
): AsyncGenerator<readonly ObjectVersion[]> {
  const prefix = tag === null || tag === '' ? '' : `${tag}/`
  for (let startAfter: string | null = null; ; ) {
    const page: Awaited<ReturnType<typeof listObjects>> = await listObjects(
      s3,
      { bucket, prefix, startAfter },
      signal,
    )
    yield page.objects.filter(
      ({ key }) =>
        (tag === null || folderOf(key) === tag) &&
        routeKey(key, config.store.ignoredPrefixes).kind !== 'ignored',
    )
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
