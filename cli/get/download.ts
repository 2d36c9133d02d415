/**
 * A file by a presigned link: in pieces, several at once, going on where it was interrupted, and compared at
 * the end.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import type { FetchRange } from './fetch-range.ts'
import { openPartialFile, type PartialFile, type Piece } from './partial-file.ts'
import { isAboutToEnd, type Link, type LinkGiver, type WantedFile } from './wanted-file.ts'

/** With a store that does not answer. */
export interface Patience {
  /** Failures of one piece in a row, without a single byte between them. */
  readonly attempts: number
  /** Doubled after each. */
  readonly firstPauseMs: number
}

export interface DownloadOptions {
  readonly fetchRange: FetchRange
  /** Pieces under way at once. */
  readonly concurrency: number
  readonly pieceBytes: number
  readonly patience: Patience
  readonly onProgress: (phase: 'fetching' | 'comparing', doneBytes: number) => void
  readonly signal: AbortSignal
  readonly now: () => Date
}

/**
 * Fetches to `path`, where nothing may be yet.
 * @returns bytes that came now.
 * @throws InvalidInputError when the disk or the store refuses, or the bytes are not those of the catalogue;
 * TransientError when the store cannot be reached for long; the signal's reason. But for wrong bytes, what
 * came stays for the next time.
 */
export async function download(
  path: string,
  wanted: WantedFile,
  links: LinkGiver,
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
  // One that fails ends the others.
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
    patience,
    signal,
    arrived,
  }: Pick<DownloadOptions, 'fetchRange' | 'patience' | 'signal'> & {
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
        if (++failures >= patience.attempts) throw refused(answer)
        // The catalogue says whether the contents are still the same; the same contents may have come back as
        // another object.
        if (answer.kind === 'changed') part.etag = null
        await link.renew(url, signal)
        if (failures > 1) await pause(patience, failures, signal)
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
      if (at < piece.end) throw new TransientError('the answer of the store broke off')
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof InvalidInputError) throw error
      if (++failures >= patience.attempts)
        throw new TransientError(`the store cannot be reached: ${messageOf(error)}`, {}, { cause: error })
      await pause(patience, failures, signal)
    }
  }
  part.finish(piece)
}

const pause = ({ firstPauseMs }: Patience, failures: number, signal: AbortSignal) =>
  sleep(firstPauseMs * 2 ** (failures - 1) * (0.5 + Math.random() / 2), undefined, { signal })

const refused = (
  answer: { readonly kind: 'changed' } | { readonly kind: 'refused'; readonly status: number },
) =>
  new InvalidInputError(
    answer.kind === 'changed'
      ? 'the store holds something else than the catalogue says, again and again'
      : `the store refuses the link, also a new one (status ${answer.status})`,
  )

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

interface CurrentLink {
  get(signal: AbortSignal): Promise<Link>
  /** Called with the link that did not work: of several pieces that find this out, one asks for a new one. */
  renew(used: string, signal: AbortSignal): Promise<void>
}

function currentLink(links: LinkGiver, now: () => Date): CurrentLink {
  let link: Link | null = null
  let asked: Promise<Link> | null = null
  const ask = async (signal: AbortSignal): Promise<Link> => {
    asked ??= links.renew(signal).finally(() => {
      asked = null
    })
    link = await asked
    return link
  }
  return {
    async get(signal) {
      if (link !== null && !isAboutToEnd(link, now())) return link
      return await ask(signal)
    },
    async renew(used, signal) {
      if (link === null || link.url === used) await ask(signal)
    },
  }
}
