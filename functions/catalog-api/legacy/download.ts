/**
 * GET and HEAD of a run file at the addresses that the experiment's tools build: redirects to a presigned
 * link for callers who may have one. Only objects in the catalogue are looked up in the store.
 */

import { mayDo } from '../../../shared/access/caller.ts'
import type { Context } from '../../../shared/context.ts'
import { checkedLink } from '../../../shared/copies/links/checked-links.ts'
import { type FileLink, type FoundFile, findFiles } from '../../../shared/copies/links/find-files.ts'
import { whereNobodyReadsWarnings } from '../../../shared/copies/links/unread-warnings.ts'
import type { Database } from '../../../shared/database/connect.ts'
import { parseRunKey, type RunId } from '../../../shared/run.ts'
import { presignHead } from '../../../shared/storage/links.ts'
import { refusal } from '../http/problem.ts'
import { type Api, type ApiContext, addPage } from '../http/route.ts'
import { headerText, WARNING_HEADER } from '../http/warning-header.ts'

/** Any path that ends like the name of a run file; routes that were added before take precedence. */
const PATH = '/:path{.+/run[0-9]+(?:(?:sub|_)[0-9]+)?\\.mid(?:\\.(?:gz|lz4|bz2))?}'

/** Mounting and reading a tape takes minutes at best. */
const RECALL_RETRY_SECONDS = '600'

interface RequestedFile extends RunId {
  /** Null where the address names none: any bucket of runs. */
  readonly bucket: string | null
  readonly key: string
}

export function registerLegacyDownload(
  api: Api,
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
): void {
  const { config, database, log, now, publicS3 } = context

  const requestedFile = (c: ApiContext): RequestedFile => {
    const wanted = parseDownloadPath(c.req.param('path') ?? '', config.store.rawBuckets)
    if (wanted === null) throw refusal(404, 'there is no such address')
    return wanted
  }

  addPage(api, 'GET', PATH, { right: 'link', tagOf: (c) => requestedFile(c).tag }, async (c) => {
    const wanted = requestedFile(c)
    const file = await findFile(database, wanted, config.store.rawBuckets)
    // By the tag of the run to which the file belongs, as everywhere.
    if (file === null || !mayDo(c.get('caller'), 'link', file.file.tag))
      throw refusal(404, `the catalogue has no file ${wanted.key} (yet)`)
    const seconds = config.store.linkSeconds
    const checked = await checkedLink(context, file, seconds, now(), c.req.raw.signal)
    const link = whereNobodyReadsWarnings(checked)
    if (link.kind !== 'link') throw unavailable(link)
    const { warning } = link
    log.info(
      { run: wanted.runNumber, tag: wanted.tag, key: wanted.key, subject: c.get('caller').subject, warning },
      'link-given',
    )
    if (warning !== null) c.header(WARNING_HEADER, headerText(`${link.fileName} ${warning}`))
    if (c.req.method !== 'HEAD') return c.redirect(link.url, 302)
    const versionId = new URL(link.url).searchParams.get('versionId')
    return c.redirect((await presignHead(publicS3, link, { seconds, now: now(), versionId })).url, 302)
  })
}

const SWIFT = /^v1\/AUTH_[\w-]+\/([^/]+)\/(.+)$/s
const TENANT = /^[\w-]+:([^/]+)\/(.+)$/s

/**
 * Recognizes the previous addresses of run files: the store's Swift interface
 * (`/v1/AUTH_<project>/<bucket>/<key>`), its tenants (`/<tenant>:<bucket>/<key>`), plain S3
 * (`/<bucket>/<key>`), and `/<TAG>/run12345.mid.gz`. Pure.
 * @param path decoded, without the leading slash. @param buckets of runs.
 * @returns null for an address that is not that of a run file in one of the buckets.
 */
export function parseDownloadPath(path: string, buckets: readonly string[]): RequestedFile | null {
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

/** The known object under the key; if no bucket is named, in the first one that has it. */
async function findFile(
  database: Database,
  { bucket, key }: RequestedFile,
  rawBuckets: readonly string[],
): Promise<FoundFile | null> {
  const buckets = bucket === null ? rawBuckets : [bucket]
  const found = await findFiles(database, { files: buckets.map((name) => ({ bucket: name, key })) })
  const inOrder = buckets.flatMap((name) => found.filter(({ file }) => file.bucket === name))
  return inOrder[0] ?? null
}

/** Why there is no link now; reported only to callers who may have the run. */
function unavailable(link: Exclude<FileLink, { readonly kind: 'link' }>) {
  const later = { 'retry-after': RECALL_RETRY_SECONDS }
  switch (link.kind) {
    case 'recalling': {
      const since = link.requestedAt.toISOString()
      const detail = link.detail === null ? '' : ` (${link.detail})`
      return refusal(
        503,
        `recalling: ${link.fileName} is being recalled from tape since ${since}${detail}; try again later`,
        later,
      )
    }
    case 'on-tape':
      return refusal(503, `${link.fileName}: ${link.how}: \`cygnet recall\`, or the page of the run`, later)
    case 'unavailable':
      return refusal(503, `${link.fileName}: ${link.why}`)
  }
}
