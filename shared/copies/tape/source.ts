/** The source of a copy: the object in the store, as long as it has these contents. */
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { ObjectVersion } from '../../run.ts'
import { LONGEST_LINK_SECONDS, presignGet } from '../../storage/links.ts'
import { describeObject, readObject } from '../../storage/objects.ts'
import type { CopySource } from '../../tape/driver.ts'
import { blame, storeBreaker } from '../../work/breaker.ts'

export type FoundSource =
  | { readonly kind: 'found'; readonly source: CopySource }
  /** The store no longer holds these contents. */
  | { readonly kind: 'missing'; readonly reason: string }

/**
 * Finds where the contents of a replica can be read. A bucket that keeps versions still has replaced
 * contents.
 */
export async function findSource(
  context: Context<'database' | 's3' | 'publicS3'>,
  replica: Replica,
  signal: AbortSignal,
): Promise<FoundSource> {
  const name = { bucket: replica.bucket, key: replica.objectKey }
  const files = await context.database
    .selectFrom('runFiles')
    .select(['etag', 'versionId', 'lastModified'])
    .where('bucket', '=', name.bucket)
    .where('objectKey', '=', name.key)
    .where('sha256', '=', replica.sha256)
    .orderBy('id', 'desc')
    .execute()
  const dependency = storeBreaker(name.bucket)
  const object = await describeObject(context.s3, name, signal).catch((error) => {
    throw blame(dependency, error)
  })
  const same = object !== null && files.some((file) => file.etag === object.etag)
  if (same) return { kind: 'found', source: sourceOf(context, object) }
  const kept = files.find((file) => file.versionId !== null)
  if (kept !== undefined) {
    const version = {
      ...name,
      etag: kept.etag,
      versionId: kept.versionId,
      sizeBytes: replica.sizeBytes,
      lastModified: kept.lastModified,
    }
    return { kind: 'found', source: sourceOf(context, version) }
  }
  return {
    kind: 'missing',
    reason:
      object === null
        ? 'the object is no longer in the store'
        : 'the store holds other contents under the key',
  }
}

const sourceOf = (context: Context<'s3' | 'publicS3'>, version: ObjectVersion): CopySource => ({
  object: { bucket: version.bucket, key: version.key },
  async *open(signal) {
    try {
      yield* readObject(context.s3, version, signal)
    } catch (error) {
      throw blame(storeBreaker(version.bucket), error)
    }
  },
  async presign(lifetimeSeconds) {
    const seconds = Math.min(lifetimeSeconds, LONGEST_LINK_SECONDS)
    const link = await presignGet(context.publicS3, version, {
      seconds,
      now: context.now(),
      versionId: version.versionId,
    })
    return link.url
  },
})
