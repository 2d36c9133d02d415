/**
 * The body of an S3 request: the `aws-chunked` framing is removed, and every digest of the request (payload hash,
 * Content-MD5, x-amz-checksum-* in a header or in the trailer) is checked before the object is stored. s3rver
 * itself checks none of these, and refuses the trailers that present SDKs send by default.
 *
 * Framing: "Signature calculations for the authorization header: transferring payload in multiple chunks" and
 * "… for trailing headers", Amazon S3 API reference. The signature of each chunk is not checked.
 */
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import S3Error from '@20minutes/s3rver/lib/models/error.js'
import { type Digest, digestFor, STORED_CHECKSUMS } from './checksums.ts'

const LONGEST_LINE_BYTES = 16 * 1024
const NO_BYTES: Buffer = Buffer.alloc(0)

/** A body that fails with an S3Error, after its last byte, when it differs from the digests of the client. */
export interface CheckedBody extends Readable {
  /** Checksums that were checked, by header name; complete when the body has ended. */
  readonly checksums: Readonly<Record<string, string>>
}

/** The checked body of a request. It has to be read to its end. */
export function checkedBody(request: IncomingMessage): CheckedBody {
  const { headers } = request
  const payload = header(headers['x-amz-content-sha256']) ?? 'UNSIGNED-PAYLOAD'
  const chunked = payload.startsWith('STREAMING-')
  const trailers: Record<string, string> = {}
  const checksums: Record<string, string> = {}
  const expected: Record<string, string> = {}
  const digests: Record<string, Digest> = {}
  for (const name of [...STORED_CHECKSUMS, 'content-md5', 'x-amz-content-sha256']) {
    const value = header(headers[name])
    const digest = digestFor(name)
    if (
      value === undefined ||
      digest === undefined ||
      (name === 'x-amz-content-sha256' && !/^[0-9a-f]{64}$/i.test(value))
    )
      continue
    expected[name] = name === 'x-amz-content-sha256' ? value.toLowerCase() : value
    digests[name] = digest
  }
  for (const name of (header(headers['x-amz-trailer']) ?? '').toLowerCase().split(/\s*,\s*/)) {
    const digest = digestFor(name)
    if (digest !== undefined) digests[name] = digest
  }

  async function* checked(): AsyncGenerator<Buffer> {
    let sizeBytes = 0
    for await (const chunk of chunked
      ? withoutFraming(request, trailers)
      : (request as AsyncIterable<Buffer>)) {
      sizeBytes += chunk.length
      for (const digest of Object.values(digests)) digest.update(chunk)
      yield chunk
    }
    const declared = header(headers['x-amz-decoded-content-length'])
    if (chunked && declared !== undefined && Number(declared) !== sizeBytes) throw incomplete()
    for (const [name, digest] of Object.entries(digests)) {
      const value = await digest.digest()
      const wanted = expected[name] ?? trailers[name]
      if (wanted === undefined)
        throw new S3Error(
          'MalformedTrailerError',
          `The request promised ${name} in its trailer and did not send it.`,
        )
      if (wanted !== value) throw mismatch(name)
      if (STORED_CHECKSUMS.includes(name)) checksums[name] = value
    }
  }
  return Object.assign(Readable.from(checked(), { objectMode: false }), { checksums })
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

function mismatch(name: string): S3Error {
  const error =
    name === 'x-amz-content-sha256'
      ? new S3Error(
          'XAmzContentSHA256Mismatch',
          'The provided x-amz-content-sha256 header does not match what was computed.',
        )
      : new S3Error('BadDigest', `The ${name} you specified did not match what we received.`)
  error.status = 400
  return error
}

function incomplete(): S3Error {
  return new S3Error(
    'IncompleteBody',
    'You did not provide the number of bytes specified by the Content-Length HTTP header',
  )
}

/**
 * Removes the framing `<hex size>[;chunk-signature=…]\r\n<bytes>\r\n … 0\r\n[<name>:<value>\r\n …]\r\n`, and fills
 * in the trailers.
 */
async function* withoutFraming(
  source: AsyncIterable<Buffer>,
  trailers: Record<string, string>,
): AsyncGenerator<Buffer> {
  const chunks = source[Symbol.asyncIterator]()
  let pending: Buffer = NO_BYTES
  const more = async (): Promise<boolean> => {
    const { done, value } = await chunks.next()
    if (done === true) return false
    pending = pending.length === 0 ? value : Buffer.concat([pending, value])
    return true
  }
  const line = async (): Promise<string | null> => {
    for (;;) {
      const end = pending.indexOf('\r\n')
      if (end >= 0) {
        const text = pending.toString('latin1', 0, end)
        pending = pending.subarray(end + 2)
        return text
      }
      if (pending.length > LONGEST_LINE_BYTES) throw incomplete()
      if (!(await more())) return null
    }
  }
  for (;;) {
    const size = /^([0-9a-f]{1,12})(;|$)/i.exec((await line()) ?? '')?.[1]
    if (size === undefined) throw incomplete()
    let remaining = Number.parseInt(size, 16)
    if (remaining === 0) break
    while (remaining > 0) {
      if (pending.length === 0 && !(await more())) throw incomplete()
      const piece = pending.subarray(0, remaining)
      pending = pending.subarray(piece.length)
      remaining -= piece.length
      yield piece
    }
    if ((await line()) !== '') throw incomplete()
  }
  for (let text = await line(); text !== null && text !== ''; text = await line()) {
    const colon = text.indexOf(':')
    if (colon > 0) trailers[text.slice(0, colon).trim().toLowerCase()] = text.slice(colon + 1).trim()
  }
}
