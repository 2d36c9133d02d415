/**
 * Deletes one version of one object and nothing else. The decision is made elsewhere: for raw runs in
 * shared/copies/delete/delete-cloud-copy.ts, for single events in clean-events.ts.
 */
import {
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { InvalidInputError, TransientError } from '../errors.ts'
import type { ObjectVersion } from '../run.ts'
import { comparableEtag, headAnswer, parseAnswer, versionListing } from './answers.ts'
import { assertBucketExists } from './bucket-exists.ts'
import { statusOf } from './send-body.ts'

export type Deletion =
  /**
   * `marked`: the bucket is versioned and only hid this one; its bytes are removed by the bucket's own rules.
   */
  | { readonly kind: 'deleted'; readonly marked: boolean }
  /** There was no object any more. */
  | { readonly kind: 'absent' }
  /** The key has another object than this version, which was left unchanged. */
  | { readonly kind: 'changed' }

/**
 * Deletes this version. In a versioned bucket it is named, so that no other can be deleted. Otherwise the
 * deletion is conditional on the ETag (If-Match), and, for Ceph before 20, which ignores that condition, on
 * the object not having been written since. docs/adr/0009-deletion.md lists which stores honour which
 * condition.
 * @throws InvalidInputError when nothing identifies this version; what the SDK throws.
 */
export async function deleteObject(
  s3: S3Client,
  version: ObjectVersion,
  signal: AbortSignal,
): Promise<Deletion> {
  if (version.versionId === null && version.etag === '')
    throw new InvalidInputError(
      `the store states neither version nor ETag of ${version.bucket}/${version.key}: it is not deleted`,
    )
  const command = new DeleteObjectCommand({
    Bucket: version.bucket,
    Key: version.key,
    // AWS answers 501 when both are given.
    ...(version.versionId === null ? { IfMatch: `"${version.etag}"` } : { VersionId: version.versionId }),
  })
  // AWS needs no second condition; it is not sent an undocumented header.
  if (version.versionId === null && s3.config.isCustomEndpoint === true)
    // Of an object without a known date, Ceph deletes nothing.
    addUnmodifiedSince(command, version.lastModified ?? new Date(0))
  try {
    const answer = await s3.send(command, { abortSignal: signal })
    return { kind: 'deleted', marked: version.versionId === null && answer.DeleteMarker === true }
  } catch (error) {
    const status = statusOf(error)
    if (status === 404 && !isNamed(error, 'NoSuchBucket')) return { kind: 'absent' }
    // 409: another write of the key was in progress.
    if (status === 412 || status === 409) return { kind: 'changed' }
    throw error
  }
}

/** Ceph's own header, in ISO 8601 to the second, like the times in its listings. */
function addUnmodifiedSince(command: DeleteObjectCommand, lastModified: Date): void {
  const value = `${lastModified.toISOString().slice(0, 19)}Z`
  command.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as { readonly headers: Record<string, string> }
      request.headers['x-amz-delete-if-unmodified-since'] = value
      return await next(args)
    },
    { step: 'build', name: 'deleteIfUnmodifiedSince' },
  )
}

/**
 * What the key has: exactly this version, another object, or none. In a versioned bucket, `other` and
 * `absent` mean that this version is deleted. @throws TransientError when there is no such bucket.
 */
export async function findVersion(
  s3: S3Client,
  version: ObjectVersion,
  signal: AbortSignal,
): Promise<'there' | 'other' | 'absent'> {
  const command = new HeadObjectCommand({
    Bucket: version.bucket,
    Key: version.key,
    ...(version.versionId === null ? {} : { VersionId: version.versionId }),
  })
  try {
    const { ETag: etag } = headAnswer.parse(await s3.send(command, { abortSignal: signal }))
    if (etag === undefined)
      throw new TransientError(`the store does not state the ETag of ${version.bucket}/${version.key}`)
    return etag === comparableEtag(version.etag) ? 'there' : 'other'
  } catch (error) {
    if (statusOf(error) !== 404) throw error
  }
  await assertBucketExists(s3, version.bucket, signal)
  return 'absent'
}

/**
 * Whether the bucket has other versions of the key: if this one were deleted, one of them would replace it.
 * Delete markers do not count.
 */
export async function hasOtherVersions(
  s3: S3Client,
  version: ObjectVersion,
  signal: AbortSignal,
): Promise<boolean> {
  // In the listing, the key itself precedes longer keys with the same prefix.
  const command = new ListObjectVersionsCommand({ Bucket: version.bucket, Prefix: version.key, MaxKeys: 10 })
  const answer = await s3.send(command, { abortSignal: signal })
  const what = `versions of ${version.bucket}/${version.key}`
  const { Versions, IsTruncated } = parseAnswer(versionListing, answer, what)
  const ids = Versions.flatMap((each) => (each.Key === version.key ? [each.VersionId] : []))
  if (!ids.includes(version.versionId ?? 'null'))
    throw new TransientError(`${what}: the store's answer does not list the one that it described`)
  // On a full page, others may follow.
  return ids.length > 1 || (IsTruncated !== false && Versions.at(-1)?.Key === version.key)
}

const isNamed = (error: unknown, name: string) => error instanceof Error && error.name === name
