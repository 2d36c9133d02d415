/**
 * GET and HEAD of a run file at the addresses that the experiment's tools build: answered with a redirect to
 * a presigned link for who may have one. Nothing is looked for in the store that the catalogue does not have.
 */

import type { Context } from '../../../shared/context.ts'
import { checkedLink } from '../../../shared/copies/links/checked-links.ts'
import { type FileLink, type FoundFile, findFiles } from '../../../shared/copies/links/find-files.ts'
import type { Database } from '../../../shared/database/connect.ts'
import { parseRunKey, type RunId } from '../../../shared/run.ts'
import { presignHead } from '../../../shared/storage/links.ts'
import { refusal } from '../http/problem.ts'
import { type Api, type ApiContext, addPage } from '../http/route.ts'

/** Everything that ends like the name of a run file; the routes that were added before come first. */
const PATH = '/:path{.+/run[0-9]+(?:sub[0-9]+)?\\.mid(?:\\.(?:gz|lz4|bz2))?}'

/** A tape is mounted, read and given back in minutes at best. */
const RECALL_RETRY_SECONDS = '600'

interface WantedFile extends RunId {
  /** Null where the address names none: any bucket of runs. */
  readonly bucket: string | null
  readonly key: string
}

export function registerLegacyDownload(
  api: Api,
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
): void {
  const { config, database, log, now, publicS3 } = context

  const wantedBy = (c: ApiContext): WantedFile => {
    const wanted = parseDownloadPath(c.req.param('path') ?? '', config.store.rawBuckets)
    if (wanted === null) throw refusal(404, 'there is nothing here')
    return wanted
  }

  addPage(api, 'GET', PATH, { right: 'link', tagOf: (c) => wantedBy(c).tag }, async (c) => {
    const wanted = wantedBy(c)
    const file = await findFile(database, wanted, config.store.rawBuckets)
    if (file === null) throw refusal(404, `the catalogue has no file ${wanted.key} (yet)`)
    const seconds = config.store.linkSeconds
    const link = await checkedLink(context, file, seconds, now(), c.req.raw.signal)
    if (link.kind !== 'link') throw notNow(link)
    log.info(
      { run: wanted.runNumber, tag: wanted.tag, key: wanted.key, subject: c.get('caller').subject },
      'link-given',
    )
    if (c.req.method !== 'HEAD') return c.redirect(link.url, 302)
    const versionId = new URL(link.url).searchParams.get('versionId')
    return c.redirect((await presignHead(publicS3, link, { seconds, now: now(), versionId })).url, 302)
  })
}

const SWIFT = /^v1\/AUTH_[\w-]+\/([^/]+)\/(.+)$/s
const TENANT = /^[\w-]+:([^/]+)\/(.+)$/s

/**
 * Addresses of run files as they were used before: that of the Swift door of the store
 * (`/v1/AUTH_<project>/<bucket>/<key>`), that of its tenants (`/<tenant>:<bucket>/<key>`), the plain one of S3
 * (`/<bucket>/<key>`), and `/<TAG>/run12345.mid.gz`. Pure.
 * @param path decoded, without the slash before it. @param buckets of runs.
 * @returns null for an address that is not of a run file in one of the buckets.
 */
export function parseDownloadPath(path: string, buckets: readonly string[]): WantedFile | null {
  const { bucket, key } = placeOf(path, buckets)
  const run = parseRunKey(key)
  if (run === null || (bucket !== null && !buckets.includes(bucket))) return null
  return { bucket, key, tag: run.tag, runNumber: run.runNumber }
}

function placeOf(
  path: string,
  buckets: readonly string[],
): { readonly bucket: string | null; readonly key: string } {
  const [, bucket, key] = SWIFT.exec(path) ?? TENANT.exec(path) ?? []
  if (bucket !== undefined && key !== undefined) return { bucket, key }
  const plain = buckets.find((name) => path.startsWith(`${name}/`))
  return plain === undefined
    ? { bucket: null, key: path }
    : { bucket: plain, key: path.slice(plain.length + 1) }
}

/**
 * What the store holds under the key as far as is known; in the first of the buckets that has one, where none
 * is named.
 */
async function findFile(
  database: Database,
  { bucket, key }: WantedFile,
  rawBuckets: readonly string[],
): Promise<FoundFile | null> {
  const buckets = bucket === null ? rawBuckets : [bucket]
  const found = await findFiles(database, { files: buckets.map((name) => ({ bucket: name, key })) })
  const inOrder = buckets.flatMap((name) => found.filter(({ file }) => file.bucket === name))
  return inOrder[0] ?? null
}

/** Why there is no link now; only who knows the run by its key and may have it learns this. */
function notNow(link: Exclude<FileLink, { readonly kind: 'link' }>) {
  const later = { 'retry-after': RECALL_RETRY_SECONDS }
  switch (link.kind) {
    case 'recalling': {
      const since = link.requestedAt.toISOString()
      const detail = link.detail === null ? '' : ` (${link.detail})`
      return refusal(
        503,
        `recalling: ${link.fileName} is being brought back from tape since ${since}${detail}; try again later`,
        later,
      )
    }
    case 'on-tape':
      return refusal(503, `${link.fileName}: ${link.how}: \`cygnet recall\`, or the page of the run`, later)
    case 'unavailable':
      return refusal(503, `${link.fileName}: ${link.why}`)
  }
}
