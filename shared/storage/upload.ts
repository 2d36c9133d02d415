/**
 * Sends an object in one PUT, with its MD5 (Content-MD5), so that a store accepts exactly the bytes whose
 * checksums are known, or none. Larger objects: multipart.ts.
 */
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import type { ObjectName } from '../run.ts'
import { type Body, base64OfHex, sendBody, statusOf } from './send-body.ts'

export interface ObjectToSend extends ObjectName {
  readonly metadata: Readonly<Record<string, string>>
  /**
   * False: an existing object under the key is kept, also one stored a moment ago (on stores that support
   * If-None-Match).
   */
  readonly replace: boolean
}

interface Encryption {
  readonly ServerSideEncryption?: string | undefined
  readonly SSECustomerAlgorithm?: string | undefined
}

/**
 * False where the store encrypts with keys of a key service or of the client: then its ETags are not MD5s.
 */
export const hasMd5Etag = (answer: Encryption): boolean =>
  answer.SSECustomerAlgorithm === undefined && answer.ServerSideEncryption?.startsWith('aws:kms') !== true

/** Sends a whole object of up to 5 GiB in one PUT. */
export async function putWhole(
  s3: S3Client,
  object: ObjectToSend,
  body: Body,
  signal: AbortSignal,
): Promise<{ readonly outcome: 'stored' | 'occupied'; readonly etagIsMd5: boolean }> {
  const answer = await unlessOccupied(object.replace, (condition) =>
    sendBody(
      body,
      (stream, abortSignal) => {
        const command = new PutObjectCommand({
          Bucket: object.bucket,
          Key: object.key,
          Body: stream,
          ContentLength: body.sizeBytes,
          ContentMD5: base64OfHex(body.md5),
          Metadata: { ...object.metadata },
          ...condition,
        })
        return s3.send(command, { abortSignal })
      },
      signal,
    ),
  )
  return answer === null
    ? { outcome: 'occupied', etagIsMd5: true }
    : { outcome: 'stored', etagIsMd5: hasMd5Etag(answer) }
}

/**
 * Sends the request on condition that there is no object under the key, and without the condition if the
 * store does not support it. Null: occupied.
 */
export async function unlessOccupied<T>(
  replace: boolean,
  send: (condition: { readonly IfNoneMatch?: string }) => Promise<T>,
): Promise<T | null> {
  if (replace) return await send({})
  try {
    return await send({ IfNoneMatch: '*' })
  } catch (error) {
    if (statusOf(error) === 412) return null
    if (statusOf(error) === 501) return await send({})
    throw error
  }
}
