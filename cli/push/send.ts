/** Sends one file with known checksums, in one PUT or in parts. */

import type { SendOutcome } from '../../shared/storage/multipart.ts'
import { putWhole } from '../../shared/storage/upload.ts'
import type { LocalFile } from './local-file.ts'
import { forgetUpload, sendInParts } from './send-parts.ts'
import type { Sending } from './sending.ts'

/**
 * @throws InvalidInputError when the file changes meanwhile: then nothing remains in the store. After any other
 * error the sent parts are kept for the next push.
 */
export async function sendFile(
  sending: Sending,
): Promise<{ readonly outcome: SendOutcome; readonly etagIsMd5: boolean }> {
  await sending.file.assertUnchanged()
  if (sending.layout.partCount > 1) return await sendInParts(sending)
  await forgetUpload(sending, sending.state.read())
  const { file, checksums } = sending
  const body = {
    sizeBytes: file.sizeBytes,
    md5: checksums.md5,
    open: () => withCheckBeforeEnd(file),
    onSent: sending.onSent,
  }
  return await putWhole(sending.s3, sending.object, body, sending.signal)
}

/**
 * Yields the last bytes only when the file is unchanged: a store makes no object from an incomplete body.
 */
async function* withCheckBeforeEnd(file: LocalFile): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | null = null
  for await (const chunk of file.read(0, file.sizeBytes)) {
    if (held !== null) yield held
    held = chunk
  }
  await file.assertUnchanged()
  if (held !== null) yield held
}
