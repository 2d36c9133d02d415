/**
 * One request and its answer, with Node's own client: it writes header names as given, and can wait for `100
 * Continue`. undici writes `content-length`, which XRootD 5.5 does not recognize in lower case: it would
 * store an empty file.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { TransientError } from '../../errors.ts'
import type { ConnectionKind, Connections } from './connections.ts'
import { lostConnection } from './failures.ts'

export interface RequestDetails {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE' | 'COPY' | 'MOVE' | 'MKCOL' | 'PROPFIND'
  /** For messages: the subject of the request, e.g. `the copy of run00012`. */
  readonly what: string
  /** Names spelled as in the standards: XRootD 5.5 recognizes no other case. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: HttpBody
  /**
   * How long the endpoint may send nothing before it answers (after the last byte of a body), and between two
   * pieces of its answer.
   */
  readonly silenceMs?: number
}

export type HttpBody =
  | { readonly text: string }
  /**
   * Opened again for every attempt (a redirect, a refused token); `stop` fires when no more bytes are needed.
   */
  | {
      readonly sizeBytes: number
      /** Lets the endpoint redirect or refuse (`100 Continue`) before any bytes are sent. */
      readonly expectContinue: boolean
      open(stop: AbortSignal): AsyncIterable<Uint8Array>
    }

export interface Answer {
  readonly status: number
  /** The value of a header (name in lower case), several joined by commas; null when there is none. */
  header(name: string): string | null
  readonly body: AsyncIterable<Buffer> & { destroy(): void }
  /** Where the answer came from, after redirects. */
  readonly url: URL
}

const CONNECT_MS = 10_000
const SILENCE_MS = 60_000
/** As long as curl waits: an endpoint that does not know `Expect` sends nothing. */
const CONTINUE_MS = 1000
/** Enough to keep the connection busy while the next bytes are read and hashed. */
const MOST_UNSENT_BYTES = 1024 * 1024
/** Methods without side effects, or idempotent ones. */
export const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PROPFIND', 'MKCOL', 'DELETE'])

/**
 * Sends one request with this bearer token; returns when the endpoint has answered, possibly before the whole
 * body is sent. The caller chooses `pooled` only for requests that may be sent twice: the endpoint may close
 * such a connection just as the request is sent.
 * @throws TransientError when there was no answer; what the body throws; the signal's reason.
 */
export async function exchange(
  connections: Connections,
  details: RequestDetails,
  way: ConnectionKind,
  url: URL,
  token: string | null,
  signal: AbortSignal,
): Promise<Answer> {
  signal.throwIfAborted()
  const { body, silenceMs = SILENCE_MS } = details
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    method: details.method,
    agent: connections.agent(url, way),
    headers: headersOf(details, token),
    signal,
  })
  limitWaiting(request, silenceMs)
  const stop = new AbortController()
  const answered = new Promise<IncomingMessage>((resolve, reject) =>
    request.once('response', resolve).on('error', reject),
  )
  const sending = send(request, body, AbortSignal.any([stop.signal, signal]))
  try {
    // A failure of the source rejects `sending` first; its error is more specific than the connection's.
    const response = await Promise.race([answered, sending.then(() => answered)])
    response.on('error', () => {}) // reported to the reader of the body
    return answerOf(request, response, url)
  } catch (error) {
    request.destroy()
    signal.throwIfAborted()
    if (error instanceof SourceFailure) throw error.cause
    throw lostConnection(url.host, details.what, error)
  } finally {
    stop.abort()
    sending.catch(() => {})
    answered.catch(() => {})
  }
}

function headersOf({ headers, body }: RequestDetails, token: string | null): Record<string, string> {
  const length = body === undefined ? null : 'text' in body ? Buffer.byteLength(body.text) : body.sizeBytes
  return {
    'User-Agent': 'cygnet',
    'Accept-Encoding': 'identity',
    ...headers,
    ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
    ...(length === null ? {} : { 'Content-Length': String(length) }),
    ...(body !== undefined && 'open' in body && body.expectContinue ? { Expect: '100-continue' } : {}),
  }
}

function answerOf(request: ClientRequest, response: IncomingMessage, url: URL): Answer {
  // The answer came before the end of the body: the rest is not needed, and the connection cannot be reused.
  if (!request.writableEnded) response.once('close', () => request.destroy())
  return {
    status: response.statusCode ?? 0,
    header(name) {
      const value = response.headers[name]
      return value === undefined ? null : [value].flat().join(',')
    },
    body: response,
    url,
  }
}

/** Aborts when no connection is established, and when no data flows in either direction. */
function limitWaiting(request: ClientRequest, silenceMs: number): void {
  const giveUp = (code: string) => request.destroy(Object.assign(new Error(code), { code }))
  request.once('socket', (socket: Socket) => {
    if (!socket.connecting) return
    const timer = setTimeout(giveUp, CONNECT_MS, 'CONNECT_TIMEOUT')
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => clearTimeout(timer))
    socket.once('close', () => clearTimeout(timer))
  })
  request.setTimeout(silenceMs, () => giveUp('SILENCE'))
}

/** Wraps an error of a body's source. */
class SourceFailure extends Error {}

/**
 * Sends the body as fast as the endpoint accepts it. Throws only SourceFailure: errors of the connection are
 * reported by the request.
 */
async function send(request: ClientRequest, body: RequestDetails['body'], stop: AbortSignal): Promise<void> {
  if (body === undefined || 'text' in body) {
    request.end(body?.text)
    return
  }
  if (body.expectContinue) {
    request.flushHeaders()
    await continued(request, stop)
  }
  try {
    for await (const chunk of body.open(stop)) {
      if (stop.aborted) return
      request.write(chunk)
      if (request.writableLength > MOST_UNSENT_BYTES) await drained(request)
    }
  } catch (cause) {
    if (stop.aborted) return
    throw new SourceFailure('the source failed', { cause })
  }
  request.end()
}

/** Returns when the endpoint accepts or refuses the body, or has not answered in time. */
async function continued(request: ClientRequest, stop: AbortSignal): Promise<void> {
  const wanted = new AbortController()
  request.once('continue', () => wanted.abort())
  await sleep(CONTINUE_MS, undefined, { signal: AbortSignal.any([wanted.signal, stop]) }).catch(() => {})
}

async function drained(request: ClientRequest): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      request.off('drain', done).off('close', done)
      resolve()
    }
    request.on('drain', done).on('close', done)
    if (request.destroyed) done()
  })
}

/**
 * The whole body as text.
 * @throws TransientError when it is longer than `mostBytes` or ends early; the signal's reason.
 */
export async function textOf(
  answer: Answer,
  what: string,
  mostBytes: number,
  signal: AbortSignal,
): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of answer.body) {
      length += chunk.length
      if (length > mostBytes)
        throw new TransientError(`${answer.url.host}: ${what}: an answer of more than ${mostBytes} bytes`)
      chunks.push(chunk)
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof TransientError ? error : lostConnection(answer.url.host, what, error)
  }
  return Buffer.concat(chunks).toString('utf8')
}
