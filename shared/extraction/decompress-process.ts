/** Decompression by an installed program (igzip, bzip2), where it is faster than Node. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ByteSource } from '../midas/decompress/byte-source.ts'
import type { Sink } from '../midas/decompress/decoder.ts'

export interface Program {
  readonly command: string
  readonly arguments: readonly string[]
}

export interface ProcessEnd {
  /**
   * unavailable: not installed, nothing was read. failed: it reported an error or stopped early; its output
   * is not reliable.
   */
  readonly outcome: 'done' | 'failed' | 'unavailable'
  readonly outputBytes: number
  /** The last bytes of the compressed file, at most `TAIL_BYTES`. */
  readonly tail: Uint8Array
}

const TAIL_BYTES = 64 * 1024
const PIECE_BYTES = 256 * 1024

/**
 * Runs the rest of `source` through a program that reads standard input and writes standard output. The
 * program has ended when this returns or throws.
 * @throws what `sink` and `source` throw, and the signal's reason when it is aborted.
 */
export async function decompressByProcess(
  program: Program,
  source: ByteSource,
  sink: Sink,
  signal: AbortSignal,
): Promise<ProcessEnd> {
  signal.throwIfAborted()
  const child = spawn(program.command, program.arguments, { stdio: ['pipe', 'pipe', 'pipe'] })
  const kill = (): void => {
    child.kill('SIGKILL')
  }
  const started = await new Promise<boolean>((resolve) => {
    child.once('spawn', () => resolve(true))
    child.once('error', () => resolve(false))
  })
  if (!started) return { outcome: 'unavailable', outputBytes: 0, tail: new Uint8Array(0) }
  child.on('error', kill)
  signal.addEventListener('abort', kill, { once: true })
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve))
  let outputBytes = 0
  let complained = false
  let stdinBroke = false
  let failure: { readonly error: unknown } | null = null
  child.stderr.on('data', () => {
    complained = true
  })
  // The program may stop reading early, which is not an error here: its exit status shows why.
  child.stdin.on('error', () => {
    stdinBroke = true
  })
  child.stdout.on('data', (bytes: Buffer) => {
    if (failure !== null) return
    try {
      outputBytes += bytes.length
      sink(bytes)
    } catch (error) {
      failure = { error }
      kill()
    }
  })
  const tail = new Tail()
  try {
    for (
      let piece = await source.take(PIECE_BYTES);
      piece !== null && failure === null;
      piece = await source.take(PIECE_BYTES)
    ) {
      signal.throwIfAborted()
      tail.add(piece)
      if (stdinBroke || child.stdin.destroyed || child.stdin.write(piece)) continue
      await Promise.race([once(child.stdin, 'drain').catch(() => {}), closed])
    }
    child.stdin.end()
    const code = await closed
    signal.throwIfAborted()
    if (failure !== null) throw (failure as { readonly error: unknown }).error
    return {
      outcome: code === 0 && !complained && !stdinBroke ? 'done' : 'failed',
      outputBytes,
      tail: tail.bytes,
    }
  } finally {
    kill()
    await closed
    signal.removeEventListener('abort', kill)
  }
}

/** Keeps the last bytes of a stream. */
class Tail {
  #bytes: Uint8Array = new Uint8Array(0)

  add(piece: Uint8Array): void {
    if (piece.length >= TAIL_BYTES) this.#bytes = piece.slice(-TAIL_BYTES)
    else this.#bytes = Buffer.concat([this.#bytes, piece]).subarray(-TAIL_BYTES)
  }

  get bytes(): Uint8Array {
    return this.#bytes
  }
}
