/**
 * Files decompressed by a program (igzip, bzip2) and in this process: the results must be the same, for intact
 * and for damaged files.
 */
import { spawnSync } from 'node:child_process'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { decompressByProcess } from '../../../shared/extraction/decompress-process.ts'
import { isOneGzipMember } from '../../../shared/extraction/gzip-tail.ts'
import { BZIP2, IGZIP } from '../../../shared/extraction/walk-file.ts'
import { ByteSource } from '../../../shared/midas/decompress/byte-source.ts'
import { bzip2 } from '../../support/bzip2-encode.ts'
import {
  concat,
  extract,
  inPieces,
  noise,
  RUN_NUMBER,
  smallRun,
  text,
  withByte,
} from '../../support/midas-run.ts'

const isInstalled = (program: string): boolean =>
  spawnSync(program, ['--help'], { stdio: 'ignore', input: '' }).error === undefined
const hasIgzip = isInstalled('igzip')
const hasBzip2 = isInstalled('bzip2')
if (!hasIgzip) console.warn('skipped: igzip is not installed (apt-get install isal)')
if (!hasBzip2) console.warn('skipped: bzip2 is not installed (apt-get install bzip2)')

const run = smallRun(40)
const never = { gzip: null, bzip2: null, minimumBytes: 0 }
const always = { gzip: IGZIP, bzip2: BZIP2, minimumBytes: 1 }

function faultyFiles(file: Uint8Array, empty: Uint8Array): (readonly [string, Uint8Array])[] {
  const end = file.length
  return [
    ['sound', file],
    ['cut in the middle', file.slice(0, end >> 1)],
    ['without its last byte', file.slice(0, -1)],
    ['without its trailer', file.slice(0, -8)],
    ['with its header alone', file.slice(0, 10)],
    ['with a wrong checksum', withByte(file, end - 8, (byte) => byte ^ 1)],
    ['with a wrong length', withByte(file, end - 1, (byte) => byte ^ 1)],
    ['followed by zeros', concat(file, new Uint8Array(100))],
    ['followed by garbage', concat(file, noise(100))],
    ['followed by one byte', concat(file, Uint8Array.of(1))],
    ['followed by its own trailer', concat(file, file.slice(-8))],
    ['followed by the end of its trailer', concat(file, file.slice(-4))],
    ['followed by an empty member', concat(file, empty)],
    ['followed by itself', concat(file, file)],
    ['followed by garbage and itself', concat(file, text('garbage'), file)],
    ['with no contents', empty],
    ...Array.from({ length: 40 }, (_, index) => {
      const at = 3 + Math.floor(((end - 4) * index) / 40)
      return [`with byte ${at} flipped`, withByte(file, at, (byte) => byte ^ (1 << (index % 8)))] as const
    }),
  ]
}

const outcome = (
  file: Uint8Array,
  name: string,
  programs: typeof always | typeof never,
  pieceBytes = 1000,
): Promise<unknown> =>
  extract(file, name, { programs, pieceBytes }).catch((error: Error) => `${error.name}: ${error.message}`)

describe.skipIf(!hasIgzip)('igzip gives what zlib gives', () => {
  it.each(faultyFiles(new Uint8Array(gzipSync(run)), new Uint8Array(gzipSync(new Uint8Array(0)))))(
    'a gzip file %s',
    async (_, file) => {
      const name = `run${RUN_NUMBER}.mid.gz`
      expect(await outcome(file, name, always)).toEqual(await outcome(file, name, never))
    },
  )

  it('a file that is not MIDAS', async () => {
    const file = new Uint8Array(gzipSync(noise(500_000)))
    expect(await outcome(file, 'run1.mid.gz', always)).toEqual(await outcome(file, 'run1.mid.gz', never))
  })
})

describe.skipIf(!hasBzip2)('the bzip2 program gives what our decoder gives', () => {
  it.each(faultyFiles(bzip2(run, 9000), bzip2(new Uint8Array(0))))('a bzip2 file %s', async (_, file) => {
    const name = `run${RUN_NUMBER}.mid.bz2`
    expect(await outcome(file, name, always)).toEqual(await outcome(file, name, never))
  })
})

describe('a decompression program', () => {
  const source = (bytes: Uint8Array) => new ByteSource(inPieces(bytes, 1000))
  const signal = new AbortController().signal

  it('without the program the file is decompressed in this process', async () => {
    const missing = { command: 'no-such-program-anywhere', arguments: [] }
    const bytes = source(noise(5000))
    expect(await decompressByProcess(missing, bytes, () => {}, signal)).toMatchObject({
      outcome: 'unavailable',
    })
    expect(bytes.position).toBe(0)
    const programs = { gzip: missing, bzip2: missing, minimumBytes: 1 }
    expect(
      await extract(new Uint8Array(gzipSync(run)), `run${RUN_NUMBER}.mid.gz`, { programs }),
    ).toMatchObject({ complete: true })
  })

  it.each([
    ['exits with an error', ['-c', 'cat; exit 3']],
    ['complains', ['-c', 'cat; echo trouble >&2']],
    ['stops reading early', ['-c', 'head -c 10']],
  ])('the result of a program that %s is not used', async (_, args) => {
    const end = await decompressByProcess(
      { command: 'sh', arguments: args },
      source(noise(3_000_000)),
      () => {},
      signal,
    )
    expect(end.outcome).toBe('failed')
  })

  it('a program is killed when the reader of its output throws, and when the work is aborted', async () => {
    const shell = { command: 'sh', arguments: ['-c', 'echo $$; exec cat'] }
    for (const how of ['throw', 'abort'] as const) {
      const stop = new AbortController()
      let pid = 0
      const sink = (bytes: Uint8Array): void => {
        pid ||= Number.parseInt(new TextDecoder().decode(bytes), 10)
        if (how === 'throw') throw new Error('enough')
        stop.abort(new Error('enough'))
      }
      await expect(decompressByProcess(shell, source(noise(3_000_000)), sink, stop.signal)).rejects.toThrow(
        'enough',
      )
      expect(() => process.kill(pid, 0)).toThrow(/ESRCH/)
    }
  })

  it('an abort takes effect also while the source delivers nothing', async () => {
    const stop = new AbortController()
    async function* stuck() {
      yield noise(10)
      setImmediate(() => stop.abort(new Error('enough')))
      await new Promise((_, reject) =>
        stop.signal.addEventListener('abort', () => reject(stop.signal.reason)),
      )
    }
    const bytes = new ByteSource(stuck())
    await expect(
      decompressByProcess({ command: 'cat', arguments: [] }, bytes, () => {}, stop.signal),
    ).rejects.toThrow('enough')
  })
})

describe('the end of a gzip file', () => {
  let file: Uint8Array
  beforeAll(() => {
    file = new Uint8Array(gzipSync(run))
  })

  it('the end of a gzip file distinguishes one member from several and from garbage', () => {
    const empty = new Uint8Array(gzipSync(new Uint8Array(0)))
    expect(isOneGzipMember(file, run.length)).toBe(true)
    expect(isOneGzipMember(concat(file, empty), run.length)).toBe(true)
    expect(isOneGzipMember(concat(file, file), 2 * run.length)).toBe(false)
    expect(isOneGzipMember(concat(file, noise(20)), run.length)).toBe(false)
    expect(isOneGzipMember(concat(file, file.slice(-8)), run.length)).toBe(false)
  })
})
