import { constants, crc32, deflateRawSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteSource } from '../../shared/midas/decompress/byte-source.ts'
import { decodeBzip2 } from '../../shared/midas/decompress/bzip2.ts'
import { type DecodeEnd, detectCompression, namedCompression } from '../../shared/midas/decompress/decoder.ts'
import { decodeGzip, readGzipHeader } from '../../shared/midas/decompress/gzip.ts'
import { decodeLz4 } from '../../shared/midas/decompress/lz4.ts'
import { Xxh32, xxh32 } from '../../shared/midas/decompress/xxh32.ts'
import { bzip2 } from '../support/bzip2-encode.ts'
import { lz4, lz4Header, sequence, skippableFrame } from '../support/lz4-encode.ts'
import { concat, inPieces, noise, smallRun, text, withByte } from '../support/midas-run.ts'

type Codec = 'gzip' | 'lz4' | 'bzip2'
interface Decoded extends DecodeEnd {
  readonly output: Uint8Array
}

async function decode(codec: Codec, file: Uint8Array, pieceBytes = 1 << 16): Promise<Decoded> {
  const pieces: Uint8Array[] = []
  const sink = (bytes: Uint8Array): void => {
    pieces.push(bytes.slice())
  }
  const source = new ByteSource(inPieces(file, pieceBytes))
  const end =
    codec === 'gzip'
      ? await decodeGzip(source, () => inPieces(file, pieceBytes), sink)
      : await (codec === 'lz4' ? decodeLz4 : decodeBzip2)(source, sink)
  return { ...end, output: concat(...pieces) }
}

const plain = smallRun(12)
const compressed: Readonly<Record<Codec, Uint8Array>> = {
  gzip: new Uint8Array(gzipSync(plain)),
  lz4: lz4(plain),
  bzip2: bzip2(plain, 5000),
}
const codecs: readonly Codec[] = ['gzip', 'lz4', 'bzip2']

/** As `toEqual`, which is slow on long arrays. */
function expectSame(left: Decoded, right: Decoded): void {
  expect({ ...left, output: left.output.length }).toEqual({ ...right, output: right.output.length })
  expect(Buffer.compare(left.output, right.output)).toBe(0)
}

describe.each(codecs)('%s', (codec) => {
  const file = compressed[codec]

  it('gives back what was compressed, however the file comes in pieces', async () => {
    for (const pieceBytes of [1, 7, 1000, 1 << 20])
      expect(await decode(codec, file, pieceBytes)).toEqual({
        output: plain,
        problem: null,
        garbageOffset: null,
      })
  })

  it('gives back any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 600 })), {
          maxLength: 12,
        }),
        async (runs) => {
          const bytes = Uint8Array.from(runs.flatMap(([byte, count]) => Array<number>(count).fill(byte)))
          const packed =
            codec === 'gzip'
              ? gzipSync(bytes)
              : codec === 'lz4'
                ? lz4(bytes, { blockBytes: 500 })
                : bzip2(bytes, 700)
          expect(await decode(codec, new Uint8Array(packed))).toEqual({
            output: bytes,
            problem: null,
            garbageOffset: null,
          })
        },
      ),
      { numRuns: 50 },
    )
  })

  it('a cut anywhere gives the start of the data and the place of the cut', async () => {
    for (let length = 4; length < file.length; length += Math.max(1, Math.floor(file.length / 150))) {
      const { output, problem } = await decode(codec, file.slice(0, length))
      expect(problem).toMatchObject({ kind: 'truncated', offset: length })
      expect(Buffer.compare(output, plain.subarray(0, output.length))).toBe(0)
    }
  })

  it('a flipped bit anywhere is noticed, or harmless; the same for any pieces; never a throw', async () => {
    for (let at = 3; at < file.length; at += Math.max(1, Math.floor(file.length / 100))) {
      const damaged = withByte(file, at, (byte) => byte ^ (1 << (at % 8)))
      const decoded = await decode(codec, damaged)
      if (decoded.problem === null && decoded.garbageOffset === null)
        expect(Buffer.compare(decoded.output, plain)).toBe(0)
      expectSame(await decode(codec, damaged, 33), decoded)
    }
  })

  it('garbage behind the end is reported with its offset, zeros are padding', async () => {
    expect(await decode(codec, concat(file, text('garbage')))).toEqual({
      output: plain,
      problem: null,
      garbageOffset: file.length,
    })
    expect(await decode(codec, concat(file, new Uint8Array(70_000)))).toEqual({
      output: plain,
      problem: null,
      garbageOffset: null,
    })
  })

  it('reads one compressed stream after the other', async () => {
    expect(await decode(codec, concat(file, file))).toEqual({
      output: concat(plain, plain),
      problem: null,
      garbageOffset: null,
    })
  })

  it('is recognised by its first bytes, whatever the name', () => {
    expect(detectCompression(file.subarray(0, 4))).toBe(codec)
    expect(detectCompression(plain.subarray(0, 4))).toBe('none')
  })

  it('stops when the taker of its output throws', async () => {
    const stop = new Error('enough')
    const sink = (): never => {
      throw stop
    }
    const source = new ByteSource(inPieces(file))
    const decoding =
      codec === 'gzip'
        ? decodeGzip(source, () => inPieces(file), sink)
        : (codec === 'lz4' ? decodeLz4 : decodeBzip2)(source, sink)
    await expect(decoding).rejects.toBe(stop)
  })
})

describe('gzip members', () => {
  const { gzip } = compressed
  const empty = new Uint8Array(gzipSync(new Uint8Array(0)))

  it('an empty member at the end, as older loggers write it, is fine', async () => {
    expect(await decode('gzip', concat(gzip, empty))).toEqual({
      output: plain,
      problem: null,
      garbageOffset: null,
    })
  })

  it('headers with every optional field are read, their checksum verified', async () => {
    const fields = concat(
      Uint8Array.of(0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 3),
      Uint8Array.of(3, 0, 1, 2, 3),
      text('run.mid\0'),
      text('a comment\0'),
    )
    const check = crc32(fields) & 0xffff
    const header = concat(fields, Uint8Array.of(check & 0xff, check >>> 8))
    expect(readGzipHeader(header)).toEqual({ kind: 'header', bytes: header.length })
    expect((await decode('gzip', concat(header, gzip.subarray(10)), 3)).output).toEqual(plain)
    expect(
      (await decode('gzip', concat(fields, Uint8Array.of(check & 0xff, ~check >>> 8), gzip.subarray(10))))
        .problem,
    ).toMatchObject({
      kind: 'corrupt',
      offset: 0,
    })
    for (let length = 3; length < header.length; length += 1)
      expect(readGzipHeader(header.subarray(0, length)).kind).toBe('incomplete')
  })

  it('a wrong CRC or length hands out everything and is reported, and the next member is still read', async () => {
    for (const back of [8, 1]) {
      const damaged = withByte(gzip, gzip.length - back, (byte) => byte ^ 1)
      const { output, problem } = await decode('gzip', concat(damaged, gzip))
      expect(output).toEqual(concat(plain, plain))
      expect(problem?.kind).toBe('checksum')
      expect(problem?.message).toContain('checksum of the compressed stream is wrong')
    }
  })

  it('damage in the middle of a large member loses nothing before it', async () => {
    // Stored blocks: where the damage strikes is known to the byte.
    const large = noise(3_000_000)
    const blocks = Array.from({ length: 40 }, (_, index) => {
      const data = large.subarray(index * 60_000, (index + 1) * 60_000)
      return concat(
        Uint8Array.of(0, ...new Uint8Array(Uint16Array.of(data.length, ~data.length).buffer)),
        data,
      )
    })
    const header = gzipSync(new Uint8Array(0)).subarray(0, 10)
    const lengthAt = header.length + 30 * 60_005 + 1
    const broken = withByte(concat(header, ...blocks), lengthAt, (byte) => byte ^ 0xff)
    const { output, problem } = await decode('gzip', broken, 1 << 20)
    expect(problem?.kind).toBe('corrupt')
    expect(Buffer.compare(output, large.subarray(0, output.length))).toBe(0)
    expect(output.length).toBe(30 * 60_000)
    expect(problem?.offset).toBeGreaterThanOrEqual(lengthAt)
    expect(problem?.offset).toBeLessThan(lengthAt + 4)
  })

  it('an end of the deflate stream exactly at the end of a piece is found', async () => {
    const raw = deflateRawSync(plain)
    expect(await decode('gzip', gzip, 10 + raw.length)).toEqual({
      output: plain,
      problem: null,
      garbageOffset: null,
    })
  })

  it('flushes between events change nothing', async () => {
    const half = deflateRawSync(plain.subarray(0, 5000), { finishFlush: constants.Z_FULL_FLUSH })
    const rest = deflateRawSync(plain.subarray(5000))
    const file = concat(gzip.subarray(0, 10), half, rest, gzip.subarray(-8))
    expect(await decode('gzip', file)).toEqual({ output: plain, problem: null, garbageOffset: null })
  })
})

describe('lz4 frames', () => {
  it.each([
    ['independent blocks', { linked: false, blockBytes: 1000 }],
    ['linked blocks', { blockBytes: 1000 }],
    ['block checksums and content size', { blockChecksums: true, contentSize: true, blockBytes: 1500 }],
    ['stored blocks', { stored: true, blockBytes: 777 }],
    ['no checksums', { contentChecksum: false }],
  ])('%s', async (_, options) => {
    expect(await decode('lz4', lz4(plain, options), 100)).toEqual({
      output: plain,
      problem: null,
      garbageOffset: null,
    })
  })

  it('skippable frames are skipped, before and after', async () => {
    const file = concat(skippableFrame(noise(100)), compressed.lz4, skippableFrame(noise(5)))
    expect(detectCompression(file)).toBe('lz4')
    expect(await decode('lz4', file)).toEqual({ output: plain, problem: null, garbageOffset: null })
  })

  it('a copy reaches back 65535 bytes over block boundaries', async () => {
    const bytes = noise(200_000)
    bytes.copyWithin(150_000, 150_000 - 65_535, 150_000 - 65_535 + 5000)
    const { output } = await decode('lz4', lz4(bytes, { blockBytes: 60_000 }))
    expect(Buffer.compare(output, bytes)).toBe(0)
  })

  const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer)
  const frame = (block: Uint8Array, options = {}) =>
    concat(lz4Header({ contentChecksum: false, ...options }, 0), u32(block.length), block, u32(0))

  it.each([
    [
      'a copy from before the start',
      frame(concat(sequence(text('abc'), { distance: 4, length: 8 }), sequence(text('end')))),
      'sequence',
    ],
    [
      'a copy from distance 0',
      frame(concat(sequence(text('abc'), { distance: 0, length: 8 }), sequence(text('end')))),
      'sequence',
    ],
    [
      'output larger than the block may be',
      frame(concat(sequence(text('a'), { distance: 1, length: 70_000 }), sequence(text('end')))),
      'sequence',
    ],
    [
      'a block larger than the frame allows',
      concat(lz4Header({}, 0), u32(70_000), noise(70_000)),
      'more than the frame allows',
    ],
    [
      'a length that never ends',
      frame(Uint8Array.of(0xf0, ...Array<number>(50).fill(255))),
      'ends inside a sequence',
    ],
    [
      'a header with a wrong checksum',
      withByte(compressed.lz4, 6, (byte) => byte ^ 1),
      'checksum of the frame header',
    ],
  ])('%s is refused', async (_, file, reason) => {
    const { problem } = await decode('lz4', file)
    expect(problem?.kind).toBe('corrupt')
    expect(problem?.message).toContain(reason)
  })

  it('wrong checksums of content, block and size are reported; the data are handed out', async () => {
    const options = { blockChecksums: true, contentSize: true, blockBytes: 60_000 }
    const file = lz4(plain, options)
    const firstBlock = 4 + 2 + 8 + 1
    const size = new DataView(file.buffer).getUint32(firstBlock, true)
    for (const at of [file.length - 1, firstBlock + 4 + size]) {
      const { output, problem } = await decode(
        'lz4',
        withByte(file, at, (byte) => byte ^ 0x10),
      )
      expect(output).toEqual(plain)
      expect(problem?.kind).toBe('checksum')
    }
    const lying = concat(lz4Header({ ...options }, 5), file.subarray(firstBlock))
    expect((await decode('lz4', lying)).problem?.message).toContain('content size')
  })

  it('a cut block gives all that can be decoded of it', async () => {
    const { output } = await decode('lz4', compressed.lz4.slice(0, compressed.lz4.length - 2000))
    expect(output.length).toBeGreaterThan(plain.length - 4000)
  })

  it('xxh32 agrees with its published values, in any pieces', () => {
    expect(xxh32(new Uint8Array(0))).toBe(0x02cc5d05)
    expect(xxh32(text('a'))).toBe(0x550d7456)
    expect(xxh32(text('abc'))).toBe(0x32d153ff)
    expect(xxh32(text('Nobody inspects the spammish repetition'))).toBe(0xe2293b2f)
    const hash = new Xxh32()
    for (const byte of text('Nobody inspects the spammish repetition')) hash.update(Uint8Array.of(byte))
    expect(hash.digest()).toBe(0xe2293b2f)
  })
})

describe('bzip2 blocks', () => {
  it('a wrong block checksum hands out the block and is reported; later blocks are read', async () => {
    const file = withByte(compressed.bzip2, 4 + 6 + 1, (byte) => byte ^ 1)
    const { output, problem } = await decode('bzip2', file)
    expect(output).toEqual(plain)
    expect(problem).toMatchObject({ kind: 'checksum', offset: 4 })
  })

  it('an empty stream is empty', async () => {
    expect(await decode('bzip2', bzip2(new Uint8Array(0)))).toEqual({
      output: new Uint8Array(0),
      problem: null,
      garbageOffset: null,
    })
  })
})

describe('names', () => {
  it.each([
    ['run00001.mid', 'none'],
    ['run00001.mid.gz', 'gzip'],
    ['run00001.mid.lz4', 'lz4'],
    ['run00001.mid.bz2', 'bzip2'],
  ])('%s says %s', (name, compression) => expect(namedCompression(name)).toBe(compression))
})
