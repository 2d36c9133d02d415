/**
 * Streams a copy through this process: one PUT, with its bytes compared with the file's checksums on the way.
 */
import { InvalidInputError, TransientError } from '../../errors.ts'
import { Adler32 } from '../../extraction/adler32.ts'
import type { CopySource, TapeFile } from '../driver.ts'
import { refusal } from './answers.ts'
import { discard, type TapeHttp } from './http.ts'

/** A connection that breaks after more bytes than this was not closed because of the request's headers. */
const EARLY_BYTES = 16 * 1024 * 1024
/** After the last byte the endpoint may compute a checksum before it answers. */
const SILENCE_MS = 180_000

/**
 * Sends the file to an address of the endpoint. The last bytes are sent only when the checksum of all bytes
 * is the file's, so that a source with other contents never becomes a complete file there.
 * @throws InvalidInputError when the source's bytes are not the file's; what the source throws;
 * TransientError when the endpoint refuses or the connection fails: then the outcome is unknown.
 */
export async function putFile(http: TapeHttp, copy: StreamedCopy, signal: AbortSignal): Promise<void> {
  const sent = { bytes: 0 }
  try {
    await put(http, copy, { sent, expectContinue: false }, signal)
  } catch (error) {
    // An endpoint that redirects or refuses while bytes are being sent may close the connection, so that its
    // answer is lost. The request is then repeated with `Expect: 100-continue`. This is not the default,
    // since XRootD 5.5 sends `Connection: Close` with its 100 Continue, after which no body may follow.
    const mayHaveAnswered =
      error instanceof TransientError && error.details.reset === true && sent.bytes <= EARLY_BYTES
    if (!mayHaveAnswered) throw error
    await put(http, copy, { sent, expectContinue: true }, signal)
  }
}

interface StreamedCopy {
  readonly url: string
  readonly file: TapeFile
  readonly source: CopySource
}

async function put(
  http: TapeHttp,
  { url, file, source }: StreamedCopy,
  { sent, expectContinue }: { readonly sent: { bytes: number }; readonly expectContinue: boolean },
  signal: AbortSignal,
): Promise<void> {
  const what = `the copy of ${file.name}`
  const open = async function* (stop: AbortSignal) {
    sent.bytes = 0
    for await (const chunk of checkedBytes(file, source, stop)) {
      sent.bytes += chunk.length
      yield chunk
    }
  }
  const body = { sizeBytes: file.sizeBytes, expectContinue, open }
  const headers = { 'Content-Type': 'application/octet-stream' }
  const answer = await http.request(
    { method: 'PUT', url, what, headers, body, silenceMs: SILENCE_MS },
    signal,
  )
  if (![200, 201, 202, 204].includes(answer.status)) throw await refusal(answer, what)
  await discard(answer)
}

/**
 * The source's bytes. The last piece is held back until size and adler32 of all bytes are verified; the
 * endpoint's adler32 is compared afterwards. The ETag determines which object the bytes come from.
 */
async function* checkedBytes(
  file: TapeFile,
  source: CopySource,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const adler32 = new Adler32()
  let sizeBytes = 0
  let last: Uint8Array | null = null
  for await (const chunk of source.open(signal)) {
    if (chunk.length === 0) continue
    if (last !== null) yield last
    adler32.update(chunk)
    sizeBytes += chunk.length
    if (sizeBytes > file.sizeBytes) throw otherBytes(file, `more than its ${file.sizeBytes} bytes`)
    last = chunk
  }
  if (sizeBytes !== file.sizeBytes) throw otherBytes(file, `${sizeBytes} instead of ${file.sizeBytes} bytes`)
  const found = adler32.digest().toString(16).padStart(8, '0')
  if (found !== file.adler32) throw otherBytes(file, `the adler32 ${found} instead of ${file.adler32}`)
  if (last !== null) yield last
}

const otherBytes = (file: TapeFile, what: string) =>
  new InvalidInputError(`${file.name}: the contents of the source differ from the catalogue: ${what}`)
