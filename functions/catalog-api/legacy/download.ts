/**
 * GET and HEAD of a run file at the addresses that the experiment's tools build: answered with a redirect to
 * a presigned link for who may have one. Nothing is looked for in the store that the catalogue does not have.
 */

import type { TapeContext } from '../../../shared/context.ts'
import { checkedLink } from '../../../shared/copies/links/checked-links.ts'
import { type FileLink, type FoundFile, findFiles } from '../../../shared/copies/links/find-files.ts'
import type { Database } from '../../../shared/database/connect.ts'
import { presignHead } from '../../../shared/storage/links.ts'
import { refusal } from '../http/problem.ts'
import { type Api, type ApiContext, addPage } from '../http/route.ts'
import { parseDownloadPath, type WantedFile } from './download-path.ts'

/** Everything that ends like the name of a run file; the routes that were added before come first. */
const PATH = '/:path{.+/run[0-9]+(?:sub[0-9]+)?\\.mid(?:\\.(?:gz|lz4|bz2))?}'

/** A tape is mounted, read and given back in minutes at best. */
const RECALL_RETRY_SECONDS = '600'

export function registerLegacyDownload(api: Api, context: TapeContext): void {
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
