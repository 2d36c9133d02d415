/** Size and date of an object whose HEAD does not state them, or states a size that is in doubt. */
import { ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import type { ObjectVersion } from '../run.ts'
import { type HeadAnswer, listing, parseAnswer } from './answers.ts'
import { getObject, type Version } from './get-object.ts'
import { statusOf } from './send-body.ts'

interface SizeAndDate {
  readonly sizeBytes: number | undefined
  readonly lastModified: Date | undefined
}

/**
 * What the HEAD does not state (a proxy that compresses omits the size) is taken from the listing, else from
 * a GET.
 */
export async function sizeAndDate(
  s3: S3Client,
  version: Version,
  head: HeadAnswer,
  signal: AbortSignal,
): Promise<SizeAndDate> {
  let known: SizeAndDate = { sizeBytes: head.ContentLength, lastModified: head.LastModified }
  for (const ask of [listedVersion, fetchedVersion]) {
    if (known.sizeBytes !== undefined && known.lastModified !== undefined) return known
    const more = await ask(s3, version, signal).catch((error) => {
      // An account that sends runs may not be allowed to list or to read them.
      if (statusOf(error) === 403) return null
      throw error
    })
    known = {
      sizeBytes: known.sizeBytes ?? more?.sizeBytes,
      lastModified: known.lastModified ?? more?.lastModified,
    }
  }
  return known
}

/** Size and date of exactly this version in the listing, where a key precedes longer ones; null: not listed. */
async function listedVersion(
  s3: S3Client,
  { bucket, key, etag }: Version,
  signal: AbortSignal,
): Promise<SizeAndDate | null> {
  const command = new ListObjectsV2Command({ Bucket: bucket, Prefix: key, MaxKeys: 1 })
  const page = parseAnswer(listing, await s3.send(command, { abortSignal: signal }), `listing of ${bucket}`)
  const found = page.Contents.find((each) => each.Key === key && each.ETag === etag)
  // The SDK reads an empty size as 0.
  return found === undefined ? null : { sizeBytes: found.Size || undefined, lastModified: found.LastModified }
}

async function fetchedVersion(
  s3: S3Client,
  version: Version,
  signal: AbortSignal,
): Promise<Partial<SizeAndDate>> {
  try {
    const { answer, body } = await getObject(s3, { ...version, versionId: null }, 'bytes=0-0', signal)
    body.destroy()
    return { sizeBytes: answer.ContentRange?.sizeBytes, lastModified: answer.LastModified }
  } catch (error) {
    // Only an empty object has no first byte.
    if (statusOf(error) === 416) return { sizeBytes: 0 }
    throw error
  }
}

/**
 * Whether the listing confirms the size that a HEAD stated. A difference between two statements about one
 * version is a fault of the store or of a proxy, not of the object.
 */
export async function confirmSize(
  s3: S3Client,
  object: ObjectVersion,
  signal: AbortSignal,
): Promise<boolean> {
  const listed = await listedVersion(s3, object, signal)
  return listed?.sizeBytes === undefined || listed.sizeBytes === object.sizeBytes
}
