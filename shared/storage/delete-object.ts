/**
 * Deleting one version of one object and nothing else. Who decides that it may go is not here: raw runs go
 * through shared/copies/delete/delete-cloud-copy.ts, single events through clean-events.ts.
 */
import {
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { InvalidInputError } from '../errors.ts'
import type { ObjectVersion } from '../run.ts'

export type Deletion =
  /** `marked`: the bucket keeps versions and only hid this one; its bytes leave by the bucket's own rules. */
  | { readonly kind: 'deleted'; readonly marked: boolean }
  /** There was no object any more. */
  | { readonly kind: 'absent' }
  /** The key holds another object than this version: that one was left alone. */
  | { readonly kind: 'changed' }

/**
 * Deletes this version. In a bucket that keeps versions it is named, so that no other can be meant; else the
 * deletion is on condition of the ETag (If-Match), and for Ceph before 20, which does not know that one, on
 * condition that the object was not written since. docs/adr/0009-deletion.md says which stores keep to which
 * condition.
 * @throws InvalidInputError when nothing tells this version from another; what the SDK throws.
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
  // AWS needs no second condition, and is not sent a header it does not document.
  if (version.versionId === null && s3.config.isCustomEndpoint === true)
    addUnmodifiedSince(command, version.lastModified)
  try {
    const answer = await s3.send(command, { abortSignal: signal })
    return { kind: 'deleted', marked: version.versionId === null && answer.DeleteMarker === true }
  } catch (error) {
    const status = statusOf(error)
    if (status === 404 && !isNamed(error, 'NoSuchBucket')) return { kind: 'absent' }
    // 409: another write of the key was under way.
    if (status === 412 || status === 409) return { kind: 'changed' }
    throw error
  }
}

/** Ceph's own header; it takes ISO 8601 to the second, as its listings state times. */
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
 * What the key holds: exactly this version, another object, or nothing. Where versions are kept, `other` and
 * `absent` mean that this version is gone.
 */
export async function lookForVersion(
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
    const { ETag = '' } = await s3.send(command, { abortSignal: signal })
    return bare(ETag) === bare(version.etag) ? 'there' : 'other'
  } catch (error) {
    if (statusOf(error) === 404) return 'absent'
    throw error
  }
}

/**
 * True when the bucket keeps other versions of the key beside this one: were it deleted, one of them would
 * take its place. Delete markers are none.
 */
export async function hasOtherVersions(
  s3: S3Client,
  version: ObjectVersion,
  signal: AbortSignal,
): Promise<boolean> {
  // The key itself comes before every longer key that begins with it; its versions before those of the
  // others.
  const command = new ListObjectVersionsCommand({ Bucket: version.bucket, Prefix: version.key, MaxKeys: 10 })
  const { Versions = [] } = await s3.send(command, { abortSignal: signal })
  return Versions.some((other) => other.Key === version.key && other.VersionId !== version.versionId)
}

const bare = (etag: string) => etag.replaceAll('"', '').toLowerCase()
const isNamed = (error: unknown, name: string) => error instanceof Error && error.name === name
const statusOf = (error: unknown) =>
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
