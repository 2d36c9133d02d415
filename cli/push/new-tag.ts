/** Detects a tag that the bucket does not have yet: `lngs` beside `LNGS` would be a second site. */
import { createInterface } from 'node:readline/promises'
import { ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import type { Config } from '../../shared/config/config.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { isSimilarTag, isTag } from '../../shared/run.ts'
import type { PushStore } from './open-store.ts'

interface NewTag {
  readonly tag: string
  /** Tags of the bucket that can be confused with it. */
  readonly similar: readonly string[]
}

/**
 * Null when the bucket has objects of the tag, has no tag at all, or cannot be listed: credentials that may
 * only send are common, and other errors are those of the push itself.
 */
async function findNewTag(
  s3: S3Client,
  bucket: string,
  tag: string,
  ignoredPrefixes: readonly string[],
  signal: AbortSignal,
): Promise<NewTag | null> {
  const list = (Prefix: string, more: object) =>
    s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix, ...more }), { abortSignal: signal })
  try {
    const own = await list(`${tag}/`, { MaxKeys: 1 })
    if ((own.Contents ?? []).length > 0) return null
    const parent = tag.slice(0, tag.lastIndexOf('/') + 1)
    const pages = await Promise.all(
      [...new Set(['', parent])].map((prefix) => list(prefix, { Delimiter: '/' })),
    )
    const known = pages
      .flatMap((page) => page.CommonPrefixes ?? [])
      .flatMap(({ Prefix = '' }) => (ignoredPrefixes.includes(Prefix) ? [] : [Prefix.slice(0, -1)]))
      .filter((other) => isTag(other))
    return known.length === 0 ? null : { tag, similar: known.filter((other) => isSimilarTag(other, tag)) }
  } catch {
    signal.throwIfAborted()
    return null
  }
}

/**
 * Has a new tag confirmed. The API checks by itself what is pushed with a token.
 * @throws InvalidInputError when it is not confirmed, or nobody can be asked.
 */
export async function checkTag(
  { s3, remote }: Pick<PushStore, 's3' | 'remote'>,
  { store: { ignoredPrefixes } }: Config,
  { tag, bucket, canAsk }: { readonly tag: string; readonly bucket: string; readonly canAsk: boolean },
  signal: AbortSignal,
): Promise<void> {
  if (remote !== null) return
  const found = await findNewTag(s3, bucket, tag, ignoredPrefixes, signal)
  if (found !== null) await confirm(found, canAsk && process.stdin.isTTY && process.stderr.isTTY, signal)
}

/** Asks the person at the terminal. */
async function confirm({ tag, similar }: NewTag, canAsk: boolean, signal: AbortSignal): Promise<void> {
  const what = `the bucket has no object of the tag ${tag} yet${similar.length === 0 ? '' : `, but of ${similar.join(', ')}`}`
  if (!canAsk) throw new InvalidInputError(`${what}; give --new-tag if this is a new site`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`${what}. Is this a new site? [y/N] `, { signal })
    if (!/^y(?:es)?$/i.test(answer.trim())) throw new InvalidInputError('nothing was sent')
  } finally {
    terminal.close()
  }
}
