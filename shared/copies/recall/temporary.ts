/**
 * The temporary object to which a tape endpoint sends a file. The endpoint's PUT is unconditional and would
 * replace what the DAQ may have written under the key meanwhile. So the file is sent to a temporary key and
 * compared there, and the store then copies it to its own key on condition that no object is there. The
 * temporary key is derived from the recall and used for nothing else, so deleting it is safe.
 */
import { UploadPartCopyCommand } from '@aws-sdk/client-s3'
import type { Context } from '../../context.ts'
import type { Recall } from '../../database/replica-schema.ts'
import { InvalidInputError, TransientError } from '../../errors.ts'
import type { ObjectName } from '../../run.ts'
import { deleteObject } from '../../storage/delete-object.ts'
import type { MultipartUpload, StoredPart } from '../../storage/multipart.ts'
import { describeObject, type ObjectDescription } from '../../storage/objects.ts'
import { withinSeconds } from '../../storage/send-body.ts'
import { refuseProtected } from '../delete/protected.ts'

export const PREFIX = 'TMP/recall/'
/** Copying some GB takes a store minutes. */
const COPY_SECONDS = 1800
const ANSWER_SECONDS = 60

export const temporaryOf = (recall: Recall): ObjectName => ({
  bucket: recall.bucket,
  key: `${PREFIX}${recall.identity.toString('hex').slice(0, 32)}`,
})

/** The object that the endpoint has sent in this attempt or an earlier one. */
export const findTemporary = (
  context: Context<'s3'>,
  recall: Recall,
  signal: AbortSignal,
): Promise<ObjectDescription | null> =>
  withinSeconds(ANSWER_SECONDS, signal, (limited) => describeObject(context.s3, temporaryOf(recall), limited))

/**
 * Deletes exactly the version that was seen under a recall's temporary key, and nothing under any other key.
 */
export async function removeTemporary(
  { s3, config }: Context<'s3'>,
  seen: ObjectDescription,
  signal: AbortSignal,
): Promise<void> {
  if (!seen.key.startsWith(PREFIX))
    throw new InvalidInputError(`${seen.key} is not a temporary object of a recall: it is not deleted`)
  refuseProtected(seen, config.store.protectedPrefixes)
  await withinSeconds(ANSWER_SECONDS, signal, (limited) => deleteObject(s3, seen, limited))
}

/**
 * Has the store copy the temporary object into an upload, as its one part (up to 5 GiB). The result is read back
 * afterwards: the ETag of a part may be computed in another way than as its MD5.
 */
export async function copyAsPart(
  { s3 }: Context<'s3'>,
  temporary: ObjectDescription,
  upload: MultipartUpload,
  signal: AbortSignal,
): Promise<readonly StoredPart[]> {
  const version = temporary.versionId === null ? '' : `?versionId=${encodeURIComponent(temporary.versionId)}`
  const command = new UploadPartCopyCommand({
    Bucket: upload.bucket,
    Key: upload.key,
    UploadId: upload.uploadId,
    PartNumber: 1,
    CopySource: `${temporary.bucket}/${temporary.key}${version}`,
    CopySourceIfMatch: `"${temporary.etag}"`,
  })
  const answer = await withinSeconds(COPY_SECONDS, signal, (abortSignal) => s3.send(command, { abortSignal }))
  const etag = answer.CopyPartResult?.ETag
  if (etag === undefined)
    throw new TransientError('the store does not state the ETag of its copy within itself')
  return [{ number: 1, etag, sizeBytes: temporary.sizeBytes }]
}
