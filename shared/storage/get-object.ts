/** Fetches the stored bytes of one version of an object. */
import { Readable } from 'node:stream'
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { ConflictError } from '../errors.ts'
import type { ObjectName, ObjectVersion } from '../run.ts'
import { getAnswer, parseAnswer } from './answers.ts'

export type Version = ObjectName & Pick<ObjectVersion, 'etag'>

/**
 * A GET of the stored bytes of exactly this version: of an object with a Content-Encoding, a proxy would
 * otherwise send the decompressed ones.
 * @throws ConflictError when the answer is another version's.
 */
export async function getObject(
  s3: S3Client,
  { bucket, key, etag, versionId }: Version & Pick<ObjectVersion, 'versionId'>,
  range: string | undefined,
  signal: AbortSignal,
) {
  const command = new GetObjectCommand({
    Bucket: bucket,
    Key: key,
    IfMatch: `"${etag}"`,
    ResponseContentEncoding: 'identity',
    ...(versionId === null ? {} : { VersionId: versionId }),
    ...(range === undefined ? {} : { Range: range }),
  })
  const sent = await s3.send(command, { abortSignal: signal })
  const body = sent.Body instanceof Readable ? sent.Body : Readable.from([])
  const answer = parseAnswer(getAnswer, sent, `GET of ${bucket}/${key}`)
  // Some stores and proxies ignore If-Match.
  if (answer.ETag === undefined || answer.ETag === etag) return { answer, body }
  body.destroy()
  throw new ConflictError('the object changed while it was read', { bucket, key })
}
