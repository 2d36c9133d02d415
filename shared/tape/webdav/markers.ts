/**
 * The stream of performance markers with which an endpoint answers a third-party copy, in the format of
 * StoRM, dCache and XRootD: blocks of `Perf Marker … Stripe Bytes Transferred: <n> … End`, and a last line
 * `success…`, `failure…`, `failed…` or `aborted…`.
 */

export type Ending =
  | { readonly kind: 'success'; readonly text: string; readonly bytesMoved: number }
  | { readonly kind: 'failure'; readonly text: string; readonly bytesMoved: number }
  /** Closed without a last line, or given up because no byte was transferred any more. */
  | { readonly kind: 'unknown'; readonly text: string; readonly bytesMoved: number }

export interface MarkerOptions {
  /** The copy is given up when the number of bytes has not grown for this long. */
  readonly progressMs: number
  /** Monotonic clock, milliseconds. */
  readonly now: () => number
}

/** Longer lines are cut: the relevant part is at their beginning. */
const MOST_LINE_BYTES = 8192

/** Reads up to the last line or the end of the stream. @throws what the stream throws. */
export async function readMarkers(
  stream: AsyncIterable<Uint8Array>,
  options: MarkerOptions,
): Promise<Ending> {
  let bytesMoved = 0
  let movedAt = options.now()
  for await (const line of lines(stream)) {
    const last = /^\s*(success|failure|failed|aborted)\b:?\s*(.*)$/i.exec(line)
    if (last !== null) {
      const kind = last[1]?.toLowerCase() === 'success' ? 'success' : 'failure'
      return { kind, text: last[2] || (last[1] ?? ''), bytesMoved }
    }
    const bytes = Number(/^\s*Stripe Bytes Transferred:\s*(\d{1,15})\s*$/i.exec(line)?.[1] ?? 0)
    if (bytes > bytesMoved) {
      bytesMoved = bytes
      movedAt = options.now()
    }
    const idleMs = options.now() - movedAt
    if (idleMs > options.progressMs)
      return {
        kind: 'unknown',
        text: `no byte was transferred for ${Math.round(idleMs / 1000)} s`,
        bytesMoved,
      }
  }
  return { kind: 'unknown', text: 'the endpoint closed the connection without a last line', bytesMoved }
}

/** Lines ended by LF or CRLF, in chunks of any size; the last one may have no line end. */
async function* lines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let kept: Buffer[] = []
  let keptBytes = 0
  const keep = (piece: Uint8Array) => {
    const room = MOST_LINE_BYTES - keptBytes
    if (room <= 0) return
    // Copied, since a small piece would otherwise keep its whole chunk in memory.
    kept.push(Buffer.from(piece.subarray(0, room)))
    keptBytes += Math.min(room, piece.length)
  }
  const take = () => {
    const line = Buffer.concat(kept).toString('utf8').replace(/\r$/, '')
    kept = []
    keptBytes = 0
    return line
  }
  for await (const chunk of stream) {
    let from = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      keep(chunk.subarray(from, end))
      from = end + 1
      yield take()
    }
    keep(chunk.subarray(from))
  }
  if (keptBytes > 0) yield take()
}
