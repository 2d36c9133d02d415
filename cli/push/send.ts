/** Sends one file whose checksums are known: in one PUT or in parts. */
import type { S3Client } from '@aws-sdk/client-s3'
import type { SendOutcome } from '../../shared/storage/multipart.ts'
import { type ObjectToSend, putWhole } from '../../shared/storage/upload.ts'
import type { UploadLayout } from '../../shared/storage/upload-layout.ts'
import type { FileChecksums } from './checksums.ts'
import type { LocalFile } from './local-file.ts'
import { forgetUpload, sendInParts } from './send-parts.ts'
import type { UploadStateFile } from './upload-state.ts'

export interface Sending {
  readonly s3: S3Client
  readonly object: ObjectToSend
  readonly file: LocalFile
  readonly checksums: FileChecksums
  readonly layout: UploadLayout
  readonly concurrency: number
  readonly state: UploadStateFile
  readonly signal: AbortSignal
  /** Bytes that went to the store; negative when they did not arrive. */
  onSent(bytes: number): void
  /** Bytes that the store held already. */
  onKept(bytes: number): void
}

/**
 * @throws InvalidInputError when the file changes meanwhile: nothing then remains in the store. Anything else that is thrown
 * leaves the parts that were sent, for the next push.
 */
export async function sendFile(sending: Sending): Promise<{ readonly outcome: SendOutcome; readonly etagIsMd5: boolean }> {
  await sending.file.assertUnchanged()
  if (sending.layout.partCount > 1) return await sendInParts(sending)
  await forgetUpload(sending, sending.state.read())
  const { file, checksums } = sending
  const body = { sizeBytes: file.sizeBytes, md5: checksums.md5, open: () => withLookBeforeEnd(file), onSent: sending.onSent }
  return await putWhole(sending.s3, sending.object, body, sending.signal)
}

/** The last bytes are given only when the file is still as it was: a store makes no object of a body that ends short. */
async function* withLookBeforeEnd(file: LocalFile): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | null = null
  for await (const chunk of file.read(0, file.sizeBytes)) {
    if (held !== null) yield held
    held = chunk
  }
  await file.assertUnchanged()
  if (held !== null) yield held
}
