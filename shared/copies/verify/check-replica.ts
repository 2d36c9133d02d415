/** Checks one copy now and compares its checksum with the catalogue's. Writes nothing. */

import { mustBeRead } from '../../catalogue/evidence.ts'
import type { Context } from '../../context.ts'
import type { Evidence, Replica } from '../../database/replica-schema.ts'
import { TransientError } from '../../errors.ts'
import { createChecksums } from '../../extraction/checksums.ts'
import { isNoBucket } from '../../storage/bucket-exists.ts'
import { describeObject, type ObjectDescription, readObject } from '../../storage/objects.ts'
import { confirmSize } from '../../storage/size-and-date.ts'
import type { CheckOptions, TapeFile } from '../../tape/driver.ts'

export type Check =
  /**
   * It agrees, as far as the evidence goes: what that means for the copy is decided by `weigh`
   * (catalogue/evidence.ts). `object`: for cloud copies, the version in the store that was compared.
   */
  | {
      readonly kind: 'verified'
      readonly evidence: Evidence
      readonly by: string
      /** Of a copy on tape: an assumption that is younger than a day does not count. */
      readonly onMedia: boolean
      /** As in TapeCheck. */
      readonly assumedSince?: Date
      readonly object: ObjectDescription | null
    }
  | { readonly kind: 'missing'; readonly evidence: Evidence }
  /** It exists, with other bytes. */
  | { readonly kind: 'different'; readonly evidence: Evidence; readonly reason: string }
  /** A copy on tape that cannot be compared unless it is staged, which only a person requests. */
  | { readonly kind: 'unproven'; readonly reason: string }
  /**
   * It cannot be compared: the endpoint is not the configured one, states no checksum, or cannot be read now.
   */
  | { readonly kind: 'unknown'; readonly reason: string }

/** Reads at least where a read has found other bytes: nothing less can clear that. */
export const readBackFor = (
  copy: Pick<Replica, 'doubtedEvidence'> | undefined,
  readBack: CheckOptions['readBack'],
): CheckOptions['readBack'] => (copy !== undefined && mustBeRead(copy) ? 'always' : readBack)

/**
 * `readBack`: whether the bytes are read. `never` accepts only what the place itself computed (a store's own
 * checksum, an endpoint's digest), `if-needed` reads where no checksum is stated, `always` reads.
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
      return { kind: 'unknown', reason: "the DAQ's disk is not seen from here" }
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

/** What an endpoint shows of the medium of a copy; `assumedSince` as in TapeCheck. */
interface Medium {
  readonly onMedia: boolean
  readonly assumedSince?: Date
}

/**
 * How long an endpoint must have shown no tape system, at any request, before it counts as the medium: one that is
 * being set up or repaired shows none for hours.
 */
const ABSENT_FOR_MS = 86_400_000

/** Whether a copy is known to be on the medium: until then it is on the endpoint's disk buffer for all we know. */
export const isKnownOnMedia = ({ onMedia, assumedSince }: Medium, at: Date): boolean =>
  onMedia && (assumedSince === undefined || at.getTime() - assumedSince.getTime() >= ABSENT_FOR_MS)

/** Why a copy does not count as on the medium yet; null where the endpoint itself states it. */
export const mediumAssumed = ({ assumedSince }: Omit<Medium, 'onMedia'>): string | null =>
  assumedSince === undefined
    ? null
    : "it may be on the endpoint's disk buffer only: the endpoint shows no Tape REST API, but not for long; after a day of that it counts as the medium itself, at once with CYGNET_TAPE_REST=never"

async function checkTape(
  { tape, now }: Context<'tape'>,
  replica: Replica,
  readBack: CheckOptions['readBack'],
  signal: AbortSignal,
): Promise<Check> {
  if (tape === null || tape.endpoint !== replica.endpoint)
    return { kind: 'unknown', reason: `the tape endpoint ${replica.endpoint} is not the configured one` }
  // The file counts, whatever happened to the job that brought it.
  const found = await tape.check(tapeFileOf(replica), { reference: null, readBack, wasThere: true }, signal)
  switch (found.kind) {
    case 'present':
      return {
        kind: 'verified',
        evidence: found.evidence,
        by: found.verifiedBy,
        onMedia: isKnownOnMedia(found, now()),
        ...(found.assumedSince === undefined ? {} : { assumedSince: found.assumedSince }),
        object: null,
      }
    case 'different':
    case 'unproven':
      return found
    case 'absent':
      return { kind: 'missing', evidence: found.evidence ?? 'existence' }
    case 'failed':
      return { kind: 'missing', evidence: 'statement' }
    case 'in-progress':
    case 'unverified':
      return { kind: 'unknown', reason: found.reason }
  }
}

/** The same check for the object under the key of a copy or of a recall. */
export async function checkObject(
  context: Context<'s3'>,
  replica: StoredContent,
  readBack: CheckOptions['readBack'],
  signal: AbortSignal,
): Promise<Check> {
  const name = { bucket: replica.bucket, key: replica.objectKey }
  const object = await describeObject(context.s3, name, signal).catch((error: unknown) => {
    if (isNoBucket(error)) return error
    throw error
  })
  if (object instanceof TransientError) return { kind: 'unknown', reason: object.message }
  if (object === null) return { kind: 'missing', evidence: 'existence' }
  if (object.sizeBytes !== replica.sizeBytes && !(await confirmSize(context.s3, object, signal)))
    return { kind: 'unknown', reason: 'the store states two sizes of the object' }
  if (object.sizeBytes !== replica.sizeBytes)
    return {
      kind: 'different',
      evidence: 'existence',
      reason: `${object.sizeBytes} bytes instead of ${replica.sizeBytes}`,
    }
  const stated = readBack === 'always' ? null : statedByStore(object, replica)
  if (stated !== null)
    return stated.agrees
      ? { kind: 'verified', evidence: 'stored-checksum', by: stated.by, onMedia: true, object }
      : {
          kind: 'different',
          evidence: 'stored-checksum',
          reason: `${stated.by} differs from the catalogue's`,
        }
  if (readBack === 'never')
    return { kind: 'unknown', reason: 'the store states no checksum of the whole object' }
  const { md5, adler32, sha256 } = await digestsOf(readObject(context.s3, object, signal))
  const wrong = md5 !== replica.md5 || adler32 !== replica.adler32 || sha256 !== replica.sha256
  if (wrong)
    return { kind: 'different', evidence: 'read', reason: `its md5 is ${md5} instead of ${replica.md5}` }
  return {
    kind: 'verified',
    evidence: 'read',
    by: 'read back: md5, adler32, sha256',
    onMedia: true,
    object,
  }
}

/**
 * The checksum that the store itself computed; one that the uploader attached does not prove the contents.
 */
function statedByStore(
  object: ObjectDescription,
  replica: StoredContent,
): { readonly by: string; readonly agrees: boolean } | null {
  for (const { by, digests } of object.stated) {
    if (by === 'uploader') continue
    if (digests.sha256 !== undefined)
      return { by: `sha256 of the ${by}`, agrees: digests.sha256 === replica.sha256 }
    // An ETag that differs need not be an MD5 of the contents.
    if (digests.md5 === replica.md5) return { by: `md5 of the ${by}`, agrees: true }
  }
  return null
}

async function digestsOf(bytes: AsyncIterable<Uint8Array>) {
  const checksums = createChecksums()
  for await (const chunk of bytes) checksums.update(chunk)
  return await checksums.digest()
}
