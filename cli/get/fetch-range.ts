/**
 * Fetches one range of an object through a presigned link, as a stream. The answer is checked to be the
 * requested range of the expected version.
 */
import { Agent, request } from 'undici'
import { TransientError } from '../../shared/errors.ts'

const CONNECT_SECONDS = 10
/** The request fails after so long without a byte. */
const IDLE_SECONDS = 60

export interface Range {
  /** First byte. */
  readonly start: number
  /** The byte after the last. */
  readonly end: number
  /** Of the whole object. */
  readonly sizeBytes: number
  /** ETag of the version that the other ranges came from; null before the first range. */
  readonly etag: string | null
}

export type RangeAnswer =
  | { readonly kind: 'bytes'; readonly etag: string | null; readonly bytes: AsyncIterable<Buffer> }
  /** The store does not accept the link (any more). */
  | { readonly kind: 'refused'; readonly status: number }
  /** The key has another object, or none. */
  | { readonly kind: 'changed' }

export type FetchRange = (url: string, range: Range, signal: AbortSignal) => Promise<RangeAnswer>

/** Keeps connections to the store open; `close` ends them. */
export function createRangeFetcher(): { readonly fetchRange: FetchRange; close(): Promise<void> } {
  const dispatcher = new Agent({
    connect: { timeout: CONNECT_SECONDS * 1000 },
    headersTimeout: IDLE_SECONDS * 1000,
    bodyTimeout: IDLE_SECONDS * 1000,
  })
  return {
    fetchRange: (url, range, signal) => fetchRange(dispatcher, url, range, signal),
    close: () => dispatcher.destroy(),
  }
}

/**
 * @throws TransientError for a temporary failure of the store, the error of undici for a broken connection, or
 * the signal's reason.
 */
async function fetchRange(
  dispatcher: Agent,
  url: string,
  range: Range,
  signal: AbortSignal,
): Promise<RangeAnswer> {
  // Not `fetch`: it decompresses bodies with a Content-Encoding, and the ranges would no longer fit.
  const { statusCode, headers, body } = await request(url, {
    dispatcher,
    signal,
    headers: {
      'accept-encoding': 'identity',
      range: `bytes=${range.start}-${range.end - 1}`,
      ...(range.etag === null ? {} : { 'if-range': range.etag }),
    },
  })
  const etag = typeof headers.etag === 'string' ? headers.etag : null
  const answer = classifyAnswer(
    statusCode,
    { contentRange: headers['content-range'], contentLength: headers['content-length'], etag },
    range,
  )
  if (answer === 'bytes') return { kind: 'bytes', etag, bytes: body }
  // Otherwise the connection stays busy until the rest of the body is read.
  body.on('error', () => {}).destroy()
  if (answer === 'transient') throw new TransientError(`the store answers ${statusCode}`)
  return answer === 'changed' ? { kind: 'changed' } : { kind: 'refused', status: statusCode }
}

interface AnswerHeaders {
  readonly contentRange: unknown
  readonly contentLength: unknown
  readonly etag: string | null
}

/** Stores without If-Range send the range of the present object, so the ETag is compared as well. */
function classifyAnswer(
  status: number,
  { contentRange, contentLength, etag }: AnswerHeaders,
  range: Range,
): 'bytes' | 'changed' | 'refused' | 'transient' {
  if (status === 206) {
    const right = contentRange === `bytes ${range.start}-${range.end - 1}/${range.sizeBytes}`
    return right && (range.etag === null || etag === range.etag) ? 'bytes' : 'changed'
  }
  if (status === 200) {
    if (range.etag !== null && etag !== range.etag) return 'changed'
    // A store without ranges sends the whole object: useful only for the first range.
    if (Number(contentLength) !== range.sizeBytes) return 'changed'
    return range.start === 0 ? 'bytes' : 'refused'
  }
  if (status === 404 || status === 410 || status === 412 || status === 416) return 'changed'
  return status === 408 || status === 429 || status >= 500 ? 'transient' : 'refused'
}
