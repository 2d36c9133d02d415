/**
 * Sends bytes that are read again for every attempt. The SDK does not repeat requests with a stream as body,
 * and notices neither a failing source nor a store that stops receiving: it would wait forever.
 */
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { passesWithTime, TransientError } from '../errors.ts'

export interface Body {
  readonly sizeBytes: number
  /** Lower-case hex. */
  readonly md5: string
  /** Reads the bytes from first to last; called again for every attempt. */
  open(): AsyncIterable<Uint8Array>
  /** Called with the number of bytes sent; negative when an attempt failed and its bytes do not count. */
  onSent?(bytes: number): void
}

const ATTEMPTS = 7
/** Damage in transfer is rare; persistent damage comes from the source. */
const ATTEMPTS_WHEN_DAMAGED = 3
const FIRST_PAUSE_MS = 300
/**
 * An attempt is given up when the store receives no bytes, or does not answer after the last one, for this
 * long.
 */
const STALL_MS = 120_000

/** The body was damaged in transfer: the next attempt may succeed. */
const DAMAGED_ON_THE_WAY = new Set([
  'BadDigest',
  'IncompleteBody',
  'InvalidDigest',
  'XAmzContentSHA256Mismatch',
  'XAmzContentChecksumMismatch',
])

/**
 * Calls `send` with the body as a stream until it succeeds: up to seven times in about 20 s while the errors
 * are temporary.
 * @throws what `open` threw while reading, at once; else the last error of `send`; else the signal's reason.
 */
export async function sendBody<T>(
  body: Body,
  send: (stream: Readable, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    const failure = await attemptToSend(body, send, signal)
    if ('answer' in failure) return failure.answer
    signal.throwIfAborted()
    if (attempt >= failure.attempts) throw failure.error
    await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2), undefined, { signal }).catch(
      () => {},
    )
  }
}

type Attempt<T> = { readonly answer: T } | { readonly error: unknown; readonly attempts: number }

async function attemptToSend<T>(
  body: Body,
  send: (stream: Readable, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<Attempt<T>> {
  const stop = new AbortController()
  const onAbort = () => stop.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const stall = setTimeout(() => {
    ended ??= {
      error: new TransientError(`the store received no bytes for ${STALL_MS / 1000} s`),
      attempts: ATTEMPTS,
    }
    stop.abort()
  }, STALL_MS)
  /** Why we stopped this attempt: more specific than the SDK's "request aborted". */
  let ended: Attempt<T> | undefined
  let sentBytes = 0
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of body.open()) {
        stall.refresh()
        sentBytes += chunk.length
        body.onSent?.(chunk.length)
        yield chunk
      }
    } catch (error) {
      ended ??= { error, attempts: 1 }
      stop.abort()
      throw error
    }
  }
  const stream = Readable.from(watched(), { objectMode: false })
  stream.on('error', () => {}) // reported by `ended`
  try {
    return { answer: await send(stream, stop.signal) }
  } catch (error) {
    body.onSent?.(-sentBytes)
    return ended ?? { error, attempts: attemptsFor(error) }
  } finally {
    clearTimeout(stall)
    signal.removeEventListener('abort', onAbort)
    stream.destroy()
  }
}

/** How many attempts are worthwhile. Not Implemented (501) is a server error, but not a temporary one. */
function attemptsFor(error: unknown): number {
  if (error instanceof Error && DAMAGED_ON_THE_WAY.has(error.name)) return ATTEMPTS_WHEN_DAMAGED
  return passesWithTime(error) && statusOf(error) !== 501 ? ATTEMPTS : 1
}

/**
 * Runs a request that transfers no data under a time limit.
 * @throws TransientError when the store does not answer in time; else what the request throws; else the
 * signal's reason.
 */
export async function withinSeconds<T>(
  seconds: number,
  signal: AbortSignal,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const limit = AbortSignal.timeout(seconds * 1000)
  try {
    return await request(AbortSignal.any([signal, limit]))
  } catch (error) {
    signal.throwIfAborted()
    if (limit.aborted)
      throw new TransientError(`the store did not answer within ${seconds} s`, {}, { cause: error })
    throw error
  }
}

/** A digest in the encoding of HTTP headers. */
export const base64OfHex = (digest: string) => Buffer.from(digest, 'hex').toString('base64')

/** The HTTP status of an error of the SDK. */
export const statusOf = (error: unknown) =>
  (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode
