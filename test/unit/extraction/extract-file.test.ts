import { createHash } from 'node:crypto'
import { deflateRawSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../../shared/errors.ts'
import { extractFile } from '../../../shared/extraction/extract-file.ts'
import type { FileMetadata } from '../../../shared/extraction/metadata.ts'
import { renderMetadata } from '../../../shared/extraction/render.ts'
import { encodeBanks } from '../../../shared/midas/encode.ts'
import { TID } from '../../../shared/midas/tid.ts'
import { bzip2 } from '../../support/bzip2-encode.ts'
import { lz4 } from '../../support/lz4-encode.ts'
import {
  beginOfRun,
  cameraEvent,
  concat,
  digitizerHeader,
  dump,
  endOfRun,
  event,
  eventOffset,
  extract,
  fileOf,
  noise,
  RUN_NUMBER,
  slowEvent,
  smallRun,
  text,
  withByte,
  withU32,
} from '../../support/midas-run.ts'

const run = smallRun(6)
const gzip = new Uint8Array(gzipSync(run))
const NAME = `run${RUN_NUMBER}.mid.gz`
const THIRD_CAMERA_EVENT = 5
const codes = (metadata: FileMetadata): readonly string[] => metadata.warnings.map(({ code }) => code)
const files = { '': run, '.gz': gzip, '.lz4': lz4(run), '.bz2': bzip2(run, 4000) }
const suffixes = Object.keys(files) as (keyof typeof files)[]

describe('a sound file', () => {
  it.each(suffixes)(
    'named .mid%s is described completely, with the checksums of the file itself',
    async (suffix) => {
      const file = files[suffix]
      const metadata = await extract(file, `run${RUN_NUMBER}.mid${suffix}`)
      expect(metadata).toMatchObject({
        runNumber: RUN_NUMBER,
        subrun: null,
        complete: true,
        problem: null,
        warnings: [],
        sizeBytes: file.length,
        uncompressedBytes: run.length,
        eventCount: 7,
        cameras: [{ number: 0, width: 16, height: 16 }],
        digitizers: [
          { model: 1742, samplesPerChannel: 1024 },
          { model: 1720, samplesPerChannel: 4000 },
        ],
        odb: { exposure_sec: 0.3, run_number: RUN_NUMBER },
      })
      expect(metadata.checksums.md5).toBe(createHash('md5').update(file).digest('hex'))
    },
  )

  it('of a subrun has its number', async () => {
    expect(await extract(gzip, `run${RUN_NUMBER}sub0003.mid.gz`)).toMatchObject({
      runNumber: RUN_NUMBER,
      subrun: 3,
      warnings: [],
    })
  })

  it('may have any name: the begin-of-run event has the run number', async () => {
    expect(await extract(gzip, 'something.mid.gz')).toMatchObject({
      runNumber: RUN_NUMBER,
      subrun: null,
      complete: true,
    })
  })

  it('reports its progress up to its size', async () => {
    const seen: number[] = []
    await extract(gzip, NAME, { onProgress: (bytes) => seen.push(bytes), pieceBytes: 100 })
    expect(seen.at(-1)).toBe(gzip.length)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  })

  it('renders as one JSON object with sentences', async () => {
    const rendered = JSON.parse(
      JSON.stringify(renderMetadata(await extract(gzip.slice(0, -20), NAME), 'LNGS')),
    )
    expect(rendered).toMatchObject({
      runNumber: RUN_NUMBER,
      tag: 'LNGS',
      complete: false,
      problemCode: 'gzip-truncated',
      warnings: [],
    })
    expect(rendered.problem).toContain(`cut at byte ${gzip.length - 20}`)
    expect(rendered.md5).toMatch(/^[0-9a-f]{32}$/)
  })
})

/** Row by row: the table of faults and what a reader must do with each. */
describe('a faulty file', () => {
  const cutAt = Math.floor(gzip.length / 2)

  it('gzip cut in the middle: the whole events before, the offset and the events read', async () => {
    const metadata = await extract(gzip.slice(0, cutAt), NAME)
    expect(metadata).toMatchObject({ complete: false, problem: { code: 'gzip-truncated', offset: cutAt } })
    expect(metadata.eventCount).toBeGreaterThan(0)
    expect(metadata.eventCount).toBeLessThan(7)
    expect(metadata.problem?.message).toContain(`${metadata.eventCount} whole event`)
    expect(metadata.checksums.md5).toBe(createHash('md5').update(gzip.subarray(0, cutAt)).digest('hex'))
  })

  it.each([1, 8])('gzip with %i bytes of its trailer missing: every event, not complete', async (missing) => {
    expect(await extract(gzip.slice(0, -missing), NAME)).toMatchObject({
      complete: false,
      eventCount: 7,
      problem: { code: 'gzip-truncated' },
    })
  })

  it.each([
    ['CRC', 8],
    ['length', 4],
  ])('gzip with a wrong %s: the same events, the checksum is reported as wrong', async (_, back) => {
    const metadata = await extract(
      withByte(gzip, gzip.length - back, (byte) => byte ^ 1),
      NAME,
    )
    expect(metadata).toMatchObject({ complete: false, eventCount: 7, problem: { code: 'gzip-checksum' } })
    expect(metadata.problem?.message).toContain('checksum of the compressed stream is wrong')
  })

  it('a bit flipped inside the data, where only the checksum notices', async () => {
    const stored = new Uint8Array(
      concat(gzip.slice(0, 10), deflateRawSync(run, { level: 0 }), gzip.slice(-8)),
    )
    const pixelAt = 10 + 5 + eventOffset(run, THIRD_CAMERA_EVENT) + 200
    const metadata = await extract(
      withByte(stored, pixelAt, (byte) => byte ^ 4),
      NAME,
    )
    expect(metadata).toMatchObject({ complete: false, eventCount: 7, problem: { code: 'gzip-checksum' } })
  })

  it('trailing zeros, an empty member, several members: fine', async () => {
    const half = eventOffset(run, THIRD_CAMERA_EVENT) + 3
    const members = concat(
      gzipSync(run.subarray(0, half)),
      gzipSync(new Uint8Array(0)),
      gzipSync(run.subarray(half)),
    )
    for (const file of [
      concat(gzip, new Uint8Array(1000)),
      concat(gzip, gzipSync(new Uint8Array(0))),
      members,
    ])
      expect(await extract(file, NAME)).toMatchObject({
        complete: true,
        eventCount: 7,
        warnings: [],
        sizeBytes: file.length,
      })
  })

  it.each(['.gz', '.lz4', '.bz2'] as const)(
    'garbage behind a %s stream: complete, with a warning naming offset and length',
    async (suffix) => {
      const file = files[suffix]
      const metadata = await extract(concat(file, noise(123)), `run${RUN_NUMBER}.mid${suffix}`)
      expect(metadata).toMatchObject({
        complete: true,
        eventCount: 7,
        warnings: [{ code: 'trailing-garbage', offset: file.length }],
      })
      expect(metadata.warnings[0]?.message).toContain('123 bytes')
    },
  )

  it.each([
    ['an empty file', new Uint8Array(0)],
    ['a gzip header alone', gzip.slice(0, 10)],
    ['half a gzip header', gzip.slice(0, 5)],
    ['a gzip file of nothing', new Uint8Array(gzipSync(new Uint8Array(0)))],
    ['an event header alone', run.slice(0, 16)],
    ['an event header alone in gzip', new Uint8Array(gzipSync(run.subarray(0, 16)))],
    ['an lz4 header alone', files['.lz4'].slice(0, 7)],
    ['a bzip2 header alone', files['.bz2'].slice(0, 4)],
  ])('%s: nothing readable', async (_, file) => {
    const failure = await extract(file, NAME).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(InvalidInputError)
    expect(String(failure)).toContain('nothing readable')
  })

  it('cut at an event boundary: no end-of-run event', async () => {
    const file = run.slice(0, eventOffset(run, THIRD_CAMERA_EVENT))
    expect(await extract(file)).toMatchObject({
      complete: false,
      eventCount: 3,
      problem: { code: 'no-end-of-run', offset: file.length },
    })
  })

  it('cut inside the begin-of-run dump: the run number is known, no run parameters', async () => {
    const metadata = await extract(run.slice(0, 60), 'copy.mid')
    expect(metadata).toMatchObject({
      complete: false,
      runNumber: RUN_NUMBER,
      problem: { code: 'cut-in-begin-of-run' },
      odb: { exposure_sec: null },
    })
  })

  it('cut inside an event: the whole events, the offset of the cut', async () => {
    const file = run.slice(0, eventOffset(run, THIRD_CAMERA_EVENT) + 100)
    expect(await extract(file)).toMatchObject({
      complete: false,
      eventCount: 3,
      problem: { code: 'cut-in-event', offset: file.length },
    })
  })

  it('an event or a bank larger than its container: that event is damaged, the others are kept', async () => {
    const start = eventOffset(run, THIRD_CAMERA_EVENT)
    const bank = await extract(withU32(run, start + 32, 0x00ffffff))
    expect(bank).toMatchObject({
      complete: false,
      eventCount: 6,
      problem: { code: 'event-damaged', offset: start },
    })
    const whole = await extract(withU32(run, start + 12, 0x7fffffff))
    expect(whole).toMatchObject({
      complete: false,
      eventCount: 3,
      problem: { code: 'event-too-large', offset: start },
    })
  })

  it('a wrong size of all banks or magic: warnings, complete', async () => {
    const start = eventOffset(run, THIRD_CAMERA_EVENT)
    const metadata = await extract(withByte(withU32(run, start + 16, 12), 3, () => 0))
    expect(metadata).toMatchObject({ complete: true, eventCount: 7 })
    expect(codes(metadata)).toEqual(['run-boundary-magic', 'banks-size'])
  })

  it('decimal commas in the dump: repaired, with a warning', async () => {
    const broken = text(new TextDecoder().decode(dump(RUN_NUMBER)).replace('0.3', '3,0000000000000000e-01'))
    const metadata = await extract(concat(beginOfRun(RUN_NUMBER, broken), cameraEvent(0), endOfRun()))
    expect(metadata).toMatchObject({ complete: true, odb: { exposure_sec: 0.3 } })
    expect(metadata.warnings).toHaveLength(1)
  })

  it('an unreadable dump is a warning, never fatal', async () => {
    const metadata = await extract(
      concat(beginOfRun(RUN_NUMBER, text('{"Runinfo": ')), cameraEvent(0), endOfRun()),
    )
    expect(metadata).toMatchObject({
      complete: true,
      eventCount: 1,
      runNumber: RUN_NUMBER,
      warnings: [{ code: 'odb-unreadable' }],
    })
    expect(metadata.warnings[0]?.message).toContain('begin-of-run')
  })

  it('a name with another run number: a warning, the header wins', async () => {
    const metadata = await extract(run, 'run00007.mid')
    expect(metadata).toMatchObject({
      complete: true,
      runNumber: RUN_NUMBER,
      warnings: [{ code: 'run-number-mismatch' }],
    })
    expect(metadata.warnings[0]?.message).toMatch(/run 7,.*run 12345/)
  })

  it('a name with another compression: a warning, the bytes win', async () => {
    expect(await extract(run, NAME)).toMatchObject({
      complete: true,
      compression: 'none',
      warnings: [{ code: 'compression-name-mismatch' }],
    })
  })

  it('without a begin of run its name gives the number; without both it is invalid', async () => {
    const file = concat(slowEvent(0), cameraEvent(1))
    expect(await extract(file, 'run00042.mid')).toMatchObject({ runNumber: 42, complete: false })
    await expect(extract(file, 'data.mid')).rejects.toThrow(/no run number/)
  })

  it('has each camera of the run by its number, whatever their order and the sizes of their frames', async () => {
    const frame = (name: string, pixels: number) => ({ name, type: TID.uint16, data: noise(2 * pixels) })
    const events = [
      [frame('CAM1', 32 * 32)],
      [frame('CAM3', 7), frame('CAM0', 16 * 16), frame('CAM1', 32 * 32), frame('CAMX', 64)],
      [frame('CAM1', 16 * 16)],
    ].map((banks, serial) => event(1, serial, encodeBanks('bank32', banks)))
    const metadata = await extract(concat(beginOfRun(), ...events, endOfRun()))
    expect(metadata.cameras).toEqual([
      { number: 0, model: 'unknown', width: 16, height: 16, sizeBytes: 512 },
      { number: 1, model: 'unknown', width: 32, height: 32, sizeBytes: 2048 },
    ])
    expect(metadata.warnings.map(({ code, message }) => [code, message])).toEqual([
      ['camera-size', expect.stringContaining('512 instead of 2048')],
      ['camera-size-unknown', expect.stringContaining('camera bank CAM3: 14 bytes')],
    ])
  })

  it('a camera bank of a senseless size and an unreadable digitizer header are warnings', async () => {
    const banks = [
      { name: 'DGH0', type: TID.uint32, data: digitizerHeader().slice(0, 9) },
      { name: 'CAM0', type: TID.uint16, data: noise(7) },
    ]
    const metadata = await extract(
      concat(beginOfRun(), event(1, 0, encodeBanks('bank32', banks)), endOfRun()),
    )
    expect(metadata).toMatchObject({ complete: true, cameras: [], digitizers: null })
    expect(codes(metadata).toSorted()).toEqual(['camera-size-unknown', 'digitizer-header-unreadable'])
  })

  it.each([
    ['text in gzip', new Uint8Array(gzipSync(text('this is a letter, not a run, whatever its name says')))],
    ['a big-endian run in lz4', lz4(Uint8Array.of(0x80, 0, 0x49, 0x4d, ...noise(80)))],
    ['gzip inside gzip', new Uint8Array(gzipSync(gzip))],
  ])('%s is invalid', async (_, file) => {
    await expect(extract(file, NAME)).rejects.toThrow(InvalidInputError)
  })
})

describe('any cut of any compression', () => {
  it.each(suffixes)('of .mid%s gives a partial result or says that nothing is readable', async (suffix) => {
    const file = files[suffix]
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: file.length - 1 }),
        fc.integer({ min: 1, max: 5000 }),
        async (length, pieceBytes) => {
          const cut = file.slice(0, length)
          const result = await extract(cut, `run${RUN_NUMBER}.mid${suffix}`, { pieceBytes }).catch(
            (error: unknown) => error,
          )
          if (result instanceof InvalidInputError) return
          const metadata = result as FileMetadata
          expect(metadata.complete).toBe(false)
          expect(metadata.problem).not.toBeNull()
          expect(metadata.eventCount).toBeLessThanOrEqual(7)
          expect(metadata.checksums.md5).toBe(createHash('md5').update(cut).digest('hex'))
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('while reading', () => {
  it('an error of the source passes through, and the source is closed', async () => {
    let closed = false
    async function* failing() {
      try {
        yield gzip.subarray(0, 100)
        throw new Error('connection lost')
      } finally {
        closed = true
      }
    }
    const options = { igzip: 'never', maxEventBytes: 1 << 28, signal: new AbortController().signal } as const
    await expect(extractFile({ fileName: NAME, open: failing }, options)).rejects.toThrow('connection lost')
    expect(closed).toBe(true)
  })

  it('an abort ends it with the reason', async () => {
    const stop = new AbortController()
    const reason = new Error('lease lost')
    const onProgress = (): void => stop.abort(reason)
    const options = { igzip: 'never', maxEventBytes: 1 << 28, signal: stop.signal, onProgress } as const
    await expect(extractFile(fileOf(NAME, gzip, 50), options)).rejects.toBe(reason)
  })

  it('an invalid file is given up early', async () => {
    let handedOut = 0
    async function* endless() {
      for (;;) {
        handedOut += 1
        yield new Uint8Array(65536)
      }
    }
    const options = { igzip: 'never', maxEventBytes: 1 << 28, signal: new AbortController().signal } as const
    await expect(extractFile({ fileName: NAME, open: endless }, options)).rejects.toThrow(/not a MIDAS file/)
    expect(handedOut).toBeLessThan(10)
  })
})
