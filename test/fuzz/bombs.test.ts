/** Decompression bombs end as invalid after little of them was read, in little memory. */
import { constants, deflateRawSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../shared/errors.ts'
import { extractFile } from '../../shared/extraction/extract-file.ts'
import { encodeEvent } from '../../shared/midas/encode.ts'
import { bzip2 } from '../support/bzip2-encode.ts'
import { lz4Header, sequence } from '../support/lz4-encode.ts'
import { beginOfRun, concat, extract } from '../support/midas-run.ts'

const MIB = 1024 * 1024
const never = { igzip: 'never', maxEventBytes: 256 * MIB, signal: new AbortController().signal } as const

/**
 * A gzip file of `head` and then `count` times a piece: each piece ends at a byte and looks back at nothing,
 * so it can be repeated.
 */
function gzipOfRepeats(head: Uint8Array, piece: Uint8Array, count: number) {
  const flush = { finishFlush: constants.Z_FULL_FLUSH, level: 9 }
  const start = concat(gzipSync(new Uint8Array(0)).subarray(0, 10), deflateRawSync(head, flush))
  const repeated = new Uint8Array(deflateRawSync(piece, flush))
  const read = { pieces: 0 }
  return {
    bytes: start.length + count * repeated.length,
    /** How often the piece was taken. */
    read,
    async *open(): AsyncGenerator<Uint8Array> {
      yield start
      for (; read.pieces < count; read.pieces += 1) yield repeated
    },
  }
}

describe('a decompression bomb', () => {
  it('of 4 GiB of zeros in 4 MB is refused at its first bytes', async () => {
    const bomb = gzipOfRepeats(new Uint8Array(0), new Uint8Array(16 * MIB), 256)
    expect(bomb.bytes).toBeLessThan(5_000_000)
    await expect(extractFile({ fileName: 'run00001.mid.gz', open: bomb.open }, never)).rejects.toThrow(
      /not a MIDAS file.*zeros/,
    )
    expect(bomb.read.pieces).toBeLessThan(10)
  })

  it.each([
    ['zeros', beginOfRun()],
    [
      'one enormous event',
      concat(
        beginOfRun(),
        encodeEvent({ id: 1, mask: 0, serial: 0, timeSeconds: 1, body: new Uint8Array(0) }).fill(255, 12),
      ),
    ],
  ])('of a begin of run and then %s is refused for its ratio', async (_, head) => {
    const bomb = gzipOfRepeats(head, new Uint8Array(16 * MIB), 256)
    const rssBefore = process.memoryUsage.rss()
    await expect(extractFile({ fileName: 'run00001.mid.gz', open: bomb.open }, never)).rejects.toThrow(
      /decompression bomb/,
    )
    expect(process.memoryUsage.rss() - rssBefore).toBeLessThan(150 * MIB)
  })

  it('of sound but endless empty events is refused too', async () => {
    const events = new Uint8Array(MIB)
    const event = encodeEvent({ id: 1, mask: 0, serial: 1, timeSeconds: 1, body: new Uint8Array(0) })
    for (let at = 0; at < events.length; at += event.length) events.set(event, at)
    const bomb = gzipOfRepeats(beginOfRun(), events, 5000)
    await expect(extractFile({ fileName: 'run00001.mid.gz', open: bomb.open }, never)).rejects.toThrow(
      InvalidInputError,
    )
  })

  it('in lz4 and bzip2 of zeros is refused at its first bytes', async () => {
    const block = concat(
      sequence(Uint8Array.of(0), { distance: 1, length: 65_530 }),
      sequence(new Uint8Array(5)),
    )
    const size = new Uint8Array(Uint32Array.of(block.length).buffer)
    const frame = concat(lz4Header({}, 0), ...Array.from({ length: 1000 }, () => concat(size, block)))
    await expect(extract(frame, 'run00001.mid.lz4')).rejects.toThrow(/not a MIDAS file/)
    await expect(extract(bzip2(new Uint8Array(100_000), 50_000), 'run00001.mid.bz2')).rejects.toThrow(
      /not a MIDAS file/,
    )
  })
})
