/**
 * One range of an object by a presigned link, as a stream of bytes that are certainly those that were asked
 * for.
 */
import { Agent, request } from 'undici'
import { TransientError } from '../../shared/errors.ts'

const CONNECT_SECONDS = 10
/** A store that says nothing for so long is asked again. */
const SILENCE_SECONDS = 60

export interface Range {
  /** First byte. */
  readonly start: number
  /** The byte after the last. */
  readonly end: number
  /** Of the whole object. */
  readonly sizeBytes: number
  /** Of the version that other ranges came from; null before the first. */
  readonly etag: string | null
}

export type RangeAnswer =
  | { readonly kind: 'bytes'; readonly etag: string | null; readonly bytes: AsyncIterable<Buffer> }
  /** The store does not take the link (any more). */
  | { readonly kind: 'refused'; readonly status: number }
  /** There is another object under the key, or none. */
  | { readonly kind: 'changed' }

export type FetchRange = (url: string, range: Range, signal: AbortSignal) => Promise<RangeAnswer>

/** A way to the store that keeps its connections; `close` ends them. */
export function createRangeFetcher(): { readonly fetchRange: FetchRange; close(): Promise<void> } {
  const dispatcher = new Agent({
    connect: { timeout: CONNECT_SECONDS * 1000 },
    headersTimeout: SILENCE_SECONDS * 1000,
    bodyTimeout: SILENCE_SECONDS * 1000,
  })
  return {
    fetchRange: (url, range, signal) => fetchRange(dispatcher, url, range, signal),
    close: () => dispatcher.destroy(),
  }
}

/**
 * @throws TransientError for what may pass, what undici throws for a broken connection, or the signal's
 * reason.
 */
async function fetchRange(
  dispatcher: Agent,
  url: string,
  range: Range,
  signal: AbortSignal,
): Promise<RangeAnswer> {
  // Not fetch: that would decompress what a store sends with a Content-Encoding, and the numbers of the bytes
  // with it.
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
  const answer = judge(
    statusCode,
    { contentRange: headers['content-range'], contentLength: headers['content-length'], etag },
    range,
  )
  if (answer === 'bytes') return { kind: 'bytes', etag, bytes: body }
  // Without this the connection would wait for somebody to read the rest.
  body.on('error', () => {}).destroy()
  if (answer === 'transient') throw new TransientError(`the store answers ${statusCode}`)
  return answer === 'changed' ? { kind: 'changed' } : { kind: 'refused', status: statusCode }
}

interface AnswerHeaders {
  readonly contentRange: unknown
  readonly contentLength: unknown
  readonly etag: string | null
}

/** Stores that do not know If-Range send the range of whatever is there: so the ETag is looked at as well. */
function judge(
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
    // A store that gives no ranges gives everything; that is good only for the beginning.
    if (Number(contentLength) !== range.sizeBytes) return 'changed'
    return range.start === 0 ? 'bytes' : 'refused'
  }
  if (status === 404 || status === 410 || status === 412 || status === 416) return 'changed'
  return status === 408 || status === 429 || status >= 500 ? 'transient' : 'refused'
}
