/** Questions that decide whether what was seen of a copy in the store means what it seems to. */
import { HeadBucketCommand, type S3Client } from '@aws-sdk/client-s3'
import type { Context } from '../../context.ts'
import type { Database } from '../../database/connect.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { describeObject } from '../../storage/objects.ts'
import { statusOf } from '../../storage/send-body.ts'

/**
 * An account that may not look at the bucket itself gets the benefit of the doubt: somebody must have made
 * it.
 */
export async function bucketIsThere(s3: S3Client, bucket: string, signal: AbortSignal): Promise<boolean> {
  try {
    await s3.send(new HeadBucketCommand({ Bucket: bucket }), { abortSignal: signal })
    return true
  } catch (error) {
    if (statusOf(error) === 404) return false
    if (statusOf(error) === 403) return true
    throw error
  }
}

/**
 * Whether the key holds a version that the ledger has heard of and that waits to be catalogued, or is being.
 */
export async function newerVersion(
  context: Context<'database' | 's3'>,
  replica: Replica,
  signal: AbortSignal,
): Promise<boolean> {
  const name = { bucket: replica.bucket, key: replica.objectKey }
  const object = await describeObject(context.s3, name, signal)
  if (object === null) return false
  const waiting = await context.database
    .selectFrom('arrivals')
    .select('id')
    .where('bucket', '=', name.bucket)
    .where('objectKey', '=', name.key)
    .where('etag', '=', object.etag)
    .where('state', 'in', ['received', 'processing'])
    .limit(1)
    .execute()
  return waiting.length > 0
}

/**
 * What speaks against contents that are what was catalogued: their digest was not the stated one when they
 * were catalogued, so that the catalogue's checksums are those of the wrong bytes. Null where nothing does.
 */
export async function statedOtherwise(database: Database, replica: Replica): Promise<string | null> {
  const files = await database
    .selectFrom('runFiles')
    .select('id')
    .where('bucket', '=', replica.bucket)
    .where('objectKey', '=', replica.objectKey)
    .where('sha256', '=', replica.sha256)
    .where('isLive', '=', true)
    .where('integrity', '=', 'mismatch')
    .limit(1)
    .execute()
  return files.length === 0
    ? null
    : 'its bytes are those that were catalogued, and a checksum stated for them disagrees'
}
