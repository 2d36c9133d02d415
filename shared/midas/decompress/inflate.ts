/**
 * Decodes one raw deflate stream with node:zlib, so that damage is located to the byte and nothing before it
 * is lost.
 */
import { crc32, createInflateRaw } from 'node:zlib'
import type { ByteSource } from './byte-source.ts'
import type { Sink } from './decoder.ts'

export interface Inflated {
  readonly outcome: 'end' | 'truncated' | 'corrupt'
  /** Compressed bytes of the stream; when it is corrupt, those that were decoded without an error. */
  readonly consumedBytes: number
  readonly outputBytes: number
  /** Of the output. */
  readonly crc32: number
}

/**
 * Piece size that keeps the inflating thread busy while this thread hashes; larger pieces are not faster and
 * need more memory.
 */
const OUTPUT_BYTES = 1024 * 1024
const SMALL_OUTPUT_BYTES = 64 * 1024
const PIECE_BYTES = 1024 * 1024
/** One piece being inflated, one waiting: the inflating thread is never idle. */
const PIECES_IN_FLIGHT = 2

/**
 * Inflates from `source` up to the end of the deflate stream, an error, or the end of the source; returns
 * unused bytes to the source. Everything decoded is passed to `sink`, except that the output of a failing
 * piece is lost (node:zlib drops it): `pieceBytes` defines how small the pieces are from `offset` on.
 */
export async function inflate(
  source: ByteSource,
  sink: Sink,
  fine: { readonly offset: number; readonly pieceBytes: number } | null = null,
): Promise<Inflated> {
  const start = source.position
  const isSmall = !(await source.fill(SMALL_OUTPUT_BYTES))
  const stream = createInflateRaw({ chunkSize: isSmall ? SMALL_OUTPUT_BYTES : OUTPUT_BYTES })
  const unfinished: Uint8Array[] = []
  let unfinishedStart = 0
  let inFlight = 0
  let outputBytes = 0
  let crc = 0
  let outcome: Inflated['outcome'] | undefined
  let failure: unknown
  let wake = (): void => {}

  const fail = (error: unknown): void => {
    failure = error
    outcome = 'corrupt'
    stream.destroy()
    wake()
  }
  const drain = (): void => {
    if (outcome !== undefined) return
    try {
      // read() starts the next piece before it returns: inflating continues while this thread works.
      for (let output: Buffer | null = stream.read(); output !== null; output = stream.read()) {
        crc = crc32(output, crc)
        outputBytes += output.length
        sink(output)
      }
    } catch (error) {
      fail(error)
    }
  }
  stream.on('readable', drain)
  stream.on('end', () => {
    outcome ??= 'end'
    wake()
  })
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'Z_BUF_ERROR') outcome ??= 'truncated'
    else if (error.code === 'Z_DATA_ERROR' || error.code === 'Z_NEED_DICT') outcome ??= 'corrupt'
    else fail(error)
    wake()
  })
  const written = (): void => {
    inFlight -= 1
    // Consumed bytes are dropped; those after the end of the deflate stream are returned.
    for (
      let piece = unfinished[0];
      piece !== undefined && unfinishedStart + piece.length <= stream.bytesWritten;
      piece = unfinished[0]
    ) {
      unfinishedStart += piece.length
      unfinished.shift()
    }
    drain()
    wake()
  }

  try {
    let sourceEnded = false
    while (outcome === undefined) {
      const isFine = fine !== null && source.position >= fine.offset
      if (sourceEnded || inFlight >= (isFine ? 1 : PIECES_IN_FLIGHT)) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      const wanted = isFine
        ? fine.pieceBytes
        : fine === null
          ? PIECE_BYTES
          : Math.min(PIECE_BYTES, fine.offset - source.position)
      const piece = await source.take(wanted)
      if (outcome !== undefined) {
        if (piece !== null) unfinished.push(piece)
      } else if (piece === null) {
        sourceEnded = true
        stream.end()
      } else {
        unfinished.push(piece)
        inFlight += 1
        stream.write(piece, written)
      }
    }
  } finally {
    stream.destroy()
  }
  if (failure !== undefined) throw failure
  const consumedBytes = stream.bytesWritten
  source.unread(
    unfinished.map((piece, index) => (index === 0 ? piece.subarray(consumedBytes - unfinishedStart) : piece)),
  )
  return { outcome, consumedBytes: source.position - start, outputBytes, crc32: crc }
}
