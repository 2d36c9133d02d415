/** Looks at one copy now and compares its checksum with the catalogue's. Writes nothing. */

import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { createChecksums } from '../../extraction/checksums.ts'
import { describeObject, type ObjectDescription, readObject } from '../../storage/objects.ts'
import type { CheckOptions, TapeFile } from '../../tape/driver.ts'

export type Check =
  /**
   * `object`: the version in the store that was verified, for cloud copies. `isUnconfirmed`: see TapeCheck, no
   * other copy is deleted on it.
   */
  | {
      readonly state: 'verified'
      readonly by: string
      readonly onMedia: boolean
      readonly object: ObjectDescription | null
      readonly isUnconfirmed?: true
    }
  | { readonly state: 'missing' }
  /** There, with other bytes. */
  | { readonly state: 'different'; readonly detail: string }
  /**
   * Nothing could be said: the endpoint is not the configured one, states no checksum, or cannot be read now.
   */
  | { readonly state: 'unknown'; readonly detail: string }

/**
 * `readBack`: whether the bytes are read. `never` trusts only what the place itself computed (a store's own
 * checksum, an endpoint's digest), `if-needed` reads where nothing is stated, `always` reads.
 * @throws what passes with time: the place does not answer.
 */
export async function checkReplica(
  context: Context<'s3' | 'tape'>,
  replica: Replica,
  readBack: CheckOptions['readBack'],
  signal: AbortSignal,
): Promise<Check> {
  switch (replica.kind) {
    case 'cloud':
      return await checkObject(context, replica, readBack, signal)
    case 'tape':
      return await checkTape(context, replica, readBack, signal)
    case 'local':
      return { state: 'unknown', detail: "the DAQ's disk is not seen from here" }
  }
}

export const tapeFileOf = (replica: Replica): TapeFile => ({
  name: replica.name,
  sizeBytes: replica.sizeBytes,
  adler32: replica.adler32,
  md5: replica.md5,
  sha256: replica.sha256,
  tag: replica.tag,
  runNumber: replica.runNumber,
})

type StoredContent = Pick<Replica, 'bucket' | 'objectKey' | 'sizeBytes' | 'md5' | 'adler32' | 'sha256'>

async function checkTape(
  { tape }: Context<'tape'>,
  replica: Replica,
  readBack: CheckOptions['readBack'],
  signal: AbortSignal,
): Promise<Check> {
  if (tape === null || tape.endpoint !== replica.endpoint)
    return { state: 'unknown', detail: `the tape endpoint ${replica.endpoint} is not the configured one` }
  // What is there counts, whatever became of the job that brought it.
  const found = await tape.check(tapeFileOf(replica), { reference: null, readBack }, signal)
  switch (found.kind) {
    case 'present':
      return {
        state: 'verified',
        by: found.verifiedBy,
        onMedia: found.onMedia,
        object: null,
        ...(found.isUnconfirmed && { isUnconfirmed: true }),
      }
    case 'different':
      return { state: 'different', detail: found.reason }
    case 'absent':
    case 'failed':
      return { state: 'missing' }
    case 'in-progress':
    case 'unverified':
      return { state: 'unknown', detail: found.reason }
  }
}

/** The same of what is in the store under the key of a copy or of a recall. */
export async function checkObject(
  context: Context<'s3'>,
  replica: StoredContent,
  readBack: CheckOptions['readBack'],
  signal: AbortSignal,
): Promise<Check> {
  const object = await describeObject(context.s3, { bucket: replica.bucket, key: replica.objectKey }, signal)
  if (object === null) return { state: 'missing' }
  if (object.sizeBytes !== replica.sizeBytes)
    return { state: 'different', detail: `${object.sizeBytes} bytes instead of ${replica.sizeBytes}` }
  const stated = readBack === 'always' ? null : statedByStore(object, replica)
  if (stated !== null)
    return stated.agrees
      ? { state: 'verified', by: stated.by, onMedia: true, object }
      : { state: 'different', detail: `${stated.by} is not that of the catalogue` }
  if (readBack === 'never')
    return { state: 'unknown', detail: 'the store states no checksum of the whole object' }
  const { md5, adler32, sha256 } = await digestsOf(readObject(context.s3, object, signal))
  const wrong = md5 !== replica.md5 || adler32 !== replica.adler32 || sha256 !== replica.sha256
  if (wrong) return { state: 'different', detail: `its md5 is ${md5} instead of ${replica.md5}` }
  return { state: 'verified', by: 'read back: md5, adler32, sha256', onMedia: true, object }
}

/**
 * What the store itself says of the contents; what the uploader wrote beside them proves nothing of the
 * bytes.
 */
function statedByStore(
  object: ObjectDescription,
  replica: StoredContent,
): { readonly by: string; readonly agrees: boolean } | null {
  for (const { by, digests } of object.stated) {
    if (by === 'uploader') continue
    if (digests.sha256 !== undefined)
      return { by: `sha256 of the ${by}`, agrees: digests.sha256 === replica.sha256 }
    if (digests.md5 !== undefined) return { by: `md5 of the ${by}`, agrees: digests.md5 === replica.md5 }
  }
  return null
}

async function digestsOf(bytes: AsyncIterable<Uint8Array>) {
  const checksums = createChecksums()
  for await (const chunk of bytes) checksums.update(chunk)
  return await checksums.digest()
}
