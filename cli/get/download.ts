/**
 * Downloads a file through a presigned link: several pieces at once, resumable after an interruption, and
 * compared with the catalogue at the end.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import type { FetchRange } from './fetch-range.ts'
import { openPartialFile, type PartialFile, type Piece } from './partial-file.ts'
import { isAboutToEnd, type Link, type LinkSupplier, type WantedFile } from './wanted-file.ts'

/** For a store that does not answer. */
export interface RetryPolicy {
  /** Most failures of one piece in a row without a received byte. */
  readonly attempts: number
  /** Doubled after each failure. */
  readonly firstPauseMs: number
}

export interface DownloadOptions {
  readonly fetchRange: FetchRange
  /** Pieces fetched at the same time. */
  readonly concurrency: number
  readonly pieceBytes: number
  readonly retryPolicy: RetryPolicy
  readonly onProgress: (phase: 'fetching' | 'comparing', doneBytes: number) => void
  readonly signal: AbortSignal
  readonly now: () => Date
}

/**
 * Fetches a file to `path`, which must not exist yet.
 * @returns bytes received by this call.
 * @throws InvalidInputError when the disk or the store refuses, or the bytes differ from the catalogue;
 * TransientError when all attempts to reach the store fail; the signal's reason. Received bytes are kept for
 * the next attempt, except when the contents differ.
 */
export async function download(
  path: string,
  wanted: WantedFile,
  links: LinkSupplier,
  options: DownloadOptions,
): Promise<number> {
  const part = await openPartialFile(path, wanted, options.pieceBytes)
  const received = { bytes: 0 }
  try {
    await fetchPieces(part, wanted, currentLink(links, options.now), options, received)
    await part.complete((done) => options.onProgress('comparing', done), options.signal)
  } finally {
    await part.close()
  }
  return received.bytes
}

async function fetchPieces(
  part: PartialFile,
  wanted: WantedFile,
  link: CurrentLink,
  options: DownloadOptions,
  received: { bytes: number },
): Promise<void> {
  // The first failure ends the other workers.
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])
  const waiting = [...part.missing]
  const arrived = (count: number) => {
    received.bytes += count
    options.onProgress('fetching', part.presentBytes + received.bytes)
  }
  options.onProgress('fetching', part.presentBytes)
  const worker = async () => {
    try {
      for (let piece = waiting.shift(); piece !== undefined; piece = waiting.shift())
        await fetchPiece(part, piece, wanted, link, { ...options, signal, arrived })
    } catch (error) {
      failed.abort(error)
      throw error
    }
  }
  const ended = await Promise.allSettled(
    Array.from({ length: Math.min(options.concurrency, waiting.length) }, worker),
  )
  options.signal.throwIfAborted()
  if (ended.some(({ status }) => status === 'rejected')) throw failed.signal.reason
}

async function fetchPiece(
  part: PartialFile,
  piece: Piece,
  { sizeBytes }: WantedFile,
  link: CurrentLink,
  {
    fetchRange,
    retryPolicy,
    signal,
    arrived,
  }: Pick<DownloadOptions, 'fetchRange' | 'retryPolicy' | 'signal'> & {
    readonly arrived: (count: number) => void
  },
): Promise<void> {
  let at = piece.start
  for (let failures = 0; at < piece.end; ) {
    signal.throwIfAborted()
    const { url } = await link.get(signal)
    try {
      const answer = await fetchRange(url, { start: at, end: piece.end, sizeBytes, etag: part.etag }, signal)
      if (answer.kind !== 'bytes') {
        if (++failures >= retryPolicy.attempts) throw refused(answer)
        // The new link shows whether the catalogue still has the same contents. They may have become another
        // object, e.g. after a recall.
        if (answer.kind === 'changed') part.etag = null
        await link.renew(url, signal)
        if (failures > 1) await pause(retryPolicy, failures, signal)
        continue
      }
      part.etag ??= answer.etag
      for await (const chunk of answer.bytes) {
        const bytes = chunk.subarray(0, piece.end - at)
        await part.write(bytes, at)
        at += bytes.length
        failures = 0
        arrived(bytes.length)
        if (at === piece.end) break
      }
      if (at < piece.end) throw new TransientError('the answer of the store was cut off')
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof InvalidInputError) throw error
      if (++failures >= retryPolicy.attempts)
        throw new TransientError(`the store cannot be reached: ${messageOf(error)}`, {}, { cause: error })
      await pause(retryPolicy, failures, signal)
    }
  }
  part.finish(piece)
}

const pause = ({ firstPauseMs }: RetryPolicy, failures: number, signal: AbortSignal) =>
  sleep(firstPauseMs * 2 ** (failures - 1) * (0.5 + Math.random() / 2), undefined, { signal })

const refused = (
  answer: { readonly kind: 'changed' } | { readonly kind: 'refused'; readonly status: number },
) =>
  new InvalidInputError(
    answer.kind === 'changed'
      ? 'the object in the store repeatedly differs from the catalogue'
      : `the store refuses the link and a new one (status ${answer.status})`,
  )

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

interface CurrentLink {
  get(signal: AbortSignal): Promise<Link>
  /** Replaces the link that did not work; single-flight for pieces that fail at the same time. */
  renew(used: string, signal: AbortSignal): Promise<void>
}

function currentLink(links: LinkSupplier, now: () => Date): CurrentLink {
  let link: Link | null = null
  let renewal: Promise<Link> | null = null
  const requestLink = async (signal: AbortSignal): Promise<Link> => {
    renewal ??= links.renew(signal).finally(() => {
      renewal = null
    })
    link = await renewal
    return link
  }
  return {
    async get(signal) {
      if (link !== null && !isAboutToEnd(link, now())) return link
      return await requestLink(signal)
    },
    async renew(used, signal) {
      if (link === null || link.url === used) await requestLink(signal)
    },
  }
}
