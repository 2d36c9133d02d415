/**
 * Streams a copy through this process into the store, in parts, a few of them in memory at a time. The object
 * appears under the key only after the checksums of all bytes agree with the catalogue.
 */
import { createHash } from 'node:crypto'
import type { S3Client } from '@aws-sdk/client-s3'
import { TransientError } from '../../errors.ts'
import { createChecksums } from '../../extraction/checksums.ts'
import { type MultipartUpload, type StoredPart, sendPart } from '../../storage/multipart.ts'
import { type ObjectToSend, putWhole } from '../../storage/upload.ts'
import { layUpload } from '../../storage/upload-layout.ts'
import type { TapeFile } from '../../tape/driver.ts'

const PART_BYTES = 16 * 1024 * 1024
/** Parts sent at a time; one more is being filled. */
const PARTS_AT_ONCE = 3
const SLICE_BYTES = 1024 * 1024

export interface StreamedFile {
  readonly s3: S3Client
  readonly object: ObjectToSend
  readonly file: TapeFile
  /** The bytes from the first to the last. */
  open(signal: AbortSignal): AsyncIterable<Uint8Array>
}

/** Whether the file is sent with one PUT. */
export const isSmall = (file: TapeFile): boolean => partBytesOf(file) >= file.sizeBytes

const partBytesOf = (file: TapeFile): number => layUpload(file.sizeBytes, PART_BYTES).partSizeBytes

/**
 * Sends a small file in one PUT, unless there is an object under its key by then.
 * @throws TransientError with `wrongBytes` when the bytes read are not those of the file.
 */
export async function putSmall(
  { s3, object, file, open }: StreamedFile,
  isTaken: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  const chunks: Uint8Array[] = []
  for await (const chunk of verifyBytes(file, open(signal))) chunks.push(chunk)
  const body = { sizeBytes: file.sizeBytes, md5: file.md5, open: () => slices(chunks) }
  if (!(await isTaken())) await putWhole(s3, object, body, signal)
}

/**
 * Sends a file as the parts of an upload. The last part is sent only after all bytes were verified.
 * @throws TransientError with `wrongBytes` when the bytes read are not those of the file.
 */
export async function sendParts(
  { s3, file, open }: Omit<StreamedFile, 'object'>,
  upload: MultipartUpload,
  signal: AbortSignal,
): Promise<readonly StoredPart[]> {
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const free: Buffer[] = []
  const source = cutIntoPieces(verifyBytes(file, open(either)), partBytesOf(file), free)
  const sent: StoredPart[] = []
  let read = 0
  const worker = async () => {
    for (let next = await source.next(); next.done !== true; next = await source.next()) {
      const { buffer, sizeBytes } = next.value
      const bytes = buffer.subarray(0, sizeBytes)
      const number = ++read
      const md5 = createHash('md5').update(bytes).digest('hex')
      sent.push(await sendPart(s3, upload, number, { sizeBytes, md5, open: () => slices([bytes]) }, either))
      free.push(buffer)
    }
  }
  const stopping = (error: unknown) => {
    stop.abort(error)
    throw error
  }
  await Promise.allSettled(Array.from({ length: PARTS_AT_ONCE }, () => worker().catch(stopping)))
  await source.return(undefined)
  if (either.aborted) throw either.reason
  return sent.toSorted((a, b) => a.number - b.number)
}

/**
 * Small slices: the time to send one stays far below the limit after which a store counts as stalled.
 */
async function* slices(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks)
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) yield chunk.subarray(at, at + SLICE_BYTES)
}

/** Passes the bytes on; throws at the end if they are not those of the file. */
async function* verifyBytes(file: TapeFile, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const checksums = createChecksums()
  for await (const chunk of bytes) {
    checksums.update(chunk)
    if (checksums.sizeBytes > file.sizeBytes)
      throw wrongBytesError(`more than the ${file.sizeBytes} bytes of the catalogue`)
    yield chunk
  }
  if (checksums.sizeBytes < file.sizeBytes)
    throw wrongBytesError(`${checksums.sizeBytes} bytes instead of ${file.sizeBytes}`)
  const { md5, adler32, sha256 } = await checksums.digest()
  if (md5 !== file.md5 || adler32 !== file.adler32 || sha256 !== file.sha256)
    throw wrongBytesError(
      `other bytes than the catalogue has: md5 ${md5} instead of ${file.md5}, adler32 ${adler32} instead of ${file.adler32}`,
    )
}

/** With `wrongBytes` in its details: the fault may be in the transfer, so the file is read again. */
export const wrongBytesError = (what: string) =>
  new TransientError(`the tape endpoint gives ${what}`, { wrongBytes: true })

interface Piece {
  readonly buffer: Buffer
  /** How much of the buffer is filled. */
  readonly sizeBytes: number
}

/**
 * Yields pieces of exactly `pieceBytes`, except the last, which is yielded after the end of the input.
 * Buffers returned through `free` are reused: new ones would pile up faster than they are garbage-collected.
 */
async function* cutIntoPieces(
  bytes: AsyncIterable<Uint8Array>,
  pieceBytes: number,
  free: Buffer[],
): AsyncGenerator<Piece> {
  let buffer: Buffer = Buffer.allocUnsafe(pieceBytes)
  let filled = 0
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; ) {
      if (filled === pieceBytes) {
        yield { buffer, sizeBytes: filled }
        buffer = free.pop() ?? Buffer.allocUnsafe(pieceBytes)
        filled = 0
      }
      const take = Math.min(chunk.length - at, pieceBytes - filled)
      buffer.set(chunk.subarray(at, at + take), filled)
      filled += take
      at += take
    }
  }
  yield { buffer, sizeBytes: filled }
}
