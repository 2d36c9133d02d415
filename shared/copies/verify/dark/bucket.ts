/**
 * Compares one raw bucket with the catalogue, page by page in the order of the listing: what is only in the
 * one or only in the other.
 */
import type { Context } from '../../../context.ts'
import { pastIgnored, routeKey } from '../../../notifications/route-key.ts'
import type { ObjectVersion } from '../../../run.ts'
import { listObjects } from '../../../storage/objects.ts'

/** Younger objects may not be catalogued yet. */
const YOUNG_MS = 3_600_000
const PAGE = 1000

export interface BucketPage {
  readonly listed: number
  /** Named like runs, and unknown to the ledger and the catalogue. */
  readonly dark: readonly ObjectVersion[]
  /** Copies that the catalogue has as present in this range of keys and that were not listed. */
  readonly unlisted: readonly number[]
}

export async function* compareBucket(
  context: Context<'database' | 's3'>,
  bucket: string,
  signal: AbortSignal,
): AsyncGenerator<BucketPage> {
  const {
    store: { ignoredPrefixes: ignored },
  } = context.config
  const before = context.now().getTime() - YOUNG_MS
  for (let startAfter: string | null = null; ; ) {
    const page: Awaited<ReturnType<typeof listObjects>> = await listObjects(
      context.s3,
      { bucket, prefix: '', startAfter, isWanted: (key) => routeKey(key, ignored).kind === 'run' },
      signal,
    )
    const { objects, last } = page
    const old = objects.filter(({ lastModified }) => lastModified !== null && lastModified.getTime() < before)
    const keys = new Set(page.keys)
    yield { listed: keys.size, dark: await unknownOf(context, bucket, old), unlisted: [] }
    for await (const unlisted of unlistedCopies(context, { bucket, after: startAfter, last }, keys))
      yield { listed: 0, dark: [], unlisted }
    if (last === null) return
    startAfter = pastIgnored(last, ignored)
  }
}

async function unknownOf(
  { database }: Context<'database'>,
  bucket: string,
  objects: readonly ObjectVersion[],
): Promise<readonly ObjectVersion[]> {
  if (objects.length === 0) return []
  const keys = objects.map((object) => object.key)
  const of = (table: 'arrivals' | 'runFiles') =>
    database
      .selectFrom(table)
      .select(['objectKey', 'etag'])
      .where('bucket', '=', bucket)
      .where('objectKey', 'in', keys)
      .execute()
  const [arrivals, files] = await Promise.all([of('arrivals'), of('runFiles')])
  const versions = new Set([...arrivals, ...files].map(({ objectKey, etag }) => `${objectKey}\0${etag}`))
  // An arrival without an ETag stands for any version under the key.
  return objects.filter(({ key, etag }) => !versions.has(`${key}\0${etag}`) && !versions.has(`${key}\0`))
}

/**
 * The catalogue's copies in a range of keys, `after` exclusive to `last` inclusive (null: to the end),
 * without those that were listed. The database compares keys byte by byte as stores do.
 */
async function* unlistedCopies(
  { database }: Context<'database'>,
  stretch: { readonly bucket: string; readonly after: string | null; readonly last: string | null },
  listed: ReadonlySet<string>,
): AsyncGenerator<readonly number[]> {
  for (let after = stretch.after; ; ) {
    let query = database
      .selectFrom('replicas')
      .select(['id', 'objectKey'])
      .where('bucket', '=', stretch.bucket)
      .where('kind', '=', 'cloud')
      .where('state', '=', 'present')
    if (after !== null) query = query.where('objectKey', '>', after)
    if (stretch.last !== null) query = query.where('objectKey', '<=', stretch.last)
    const page = await query.orderBy('objectKey').limit(PAGE).execute()
    const unlisted = page.filter(({ objectKey }) => !listed.has(objectKey)).map(({ id }) => id)
    if (unlisted.length > 0) yield unlisted
    const lastRow = page.at(-1)
    if (lastRow === undefined || page.length < PAGE) return
    after = lastRow.objectKey
  }
}
