/** Other causes that explain what a check found in the store. */
import type { Context } from '../../context.ts'
import type { Database } from '../../database/connect.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { describeObject } from '../../storage/objects.ts'

/**
 * Whether the key holds a version that is in the ledger and waits to be catalogued, or is being catalogued.
 */
export async function hasNewerVersion(
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
 * The sentence when a checksum stated for the contents disagreed as they were catalogued: the catalogue's
 * checksums are then those of wrong bytes. Otherwise null.
 */
export async function statedMismatch(database: Database, replica: Replica): Promise<string | null> {
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
