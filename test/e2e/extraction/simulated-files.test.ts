import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { Compression } from '../../../cli/simulate/compress.ts'
import { lz4Frame } from '../../../cli/simulate/lz4.ts'
import { eventsForSize, runFileBytes, writeRunFile } from '../../../cli/simulate/write.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { ByteSource } from '../../../shared/midas/decompress/byte-source.ts'
import { decodeBzip2 } from '../../../shared/midas/decompress/bzip2.ts'
import { decodeLz4 } from '../../../shared/midas/decompress/lz4.ts'
import {
  dumpsOf,
  eventsOf,
  folder,
  type Options,
  small,
  streamOf,
  walk,
} from '../../support/simulated-runs.ts'

describe('a fault', () => {
  test('the fault crash leaves complete events and no end of run', async () => {
    const ids = (await eventsOf({ ...small, fault: 'crash' })).map((event) => event.id)
    expect(ids.filter((id) => id === 1)).toHaveLength(5)
    expect(ids).not.toContain(0x8001)
  })

  test('the fault cut-event leaves the last event cut', async () => {
    const stream = await streamOf({ ...small, fault: 'cut-event' })
    expect(() => walk(stream)).toThrow(/is cut/)
  })

  test('the fault cut-stream leaves a gzip file that ends too early', async () => {
    const bytes = await runFileBytes({ ...small, fault: 'cut-stream' })
    expect(() => gunzipSync(bytes)).toThrow(/unexpected end of file/)
  })

  test('the fault no-camera leaves only the digitizers', async () => {
    const events = await eventsOf({ events: 2, fault: 'no-camera' })
    for (const event of events.filter(({ id }) => id === 1))
      expect([...event.banks.keys()]).toEqual(['DIG0', 'DGH0'])
  })

  test('the fault wrong-run-number gives another number in header and ODB than in the name', async () => {
    const directory = await folder()
    const file = await writeRunFile(directory, { ...small, runNumber: 17, fault: 'wrong-run-number' })
    expect(file.key).toBe('LNGS/run00017.mid.gz')
    const events = walk(new Uint8Array(gunzipSync(await readFile(file.path))))
    expect(events.at(0)?.serial).toBe(18)
    expect(dumpsOf(events)[0]?.tree.get('/Runinfo/Run number')).toBe(18)
  })
})

describe('a run file', () => {
  const decoders: Readonly<Record<Compression, (bytes: Uint8Array) => Promise<Uint8Array>>> = {
    none: async (bytes) => bytes,
    gzip: async (bytes) => new Uint8Array(gunzipSync(bytes)),
    lz4: (bytes) => decoded(bytes, decodeLz4),
    bzip2: (bytes) => decoded(bytes, decodeBzip2),
  }
  async function decoded(bytes: Uint8Array, decode: typeof decodeLz4): Promise<Uint8Array> {
    const pieces: Uint8Array[] = []
    const source = new ByteSource(
      (async function* () {
        yield bytes
      })(),
    )
    const end = await decode(source, (piece) => pieces.push(piece.slice()))
    expect(end.problem).toBeNull()
    return new Uint8Array(Buffer.concat(pieces))
  }

  test.each(['none', 'gzip', 'lz4', 'bzip2'] as const)(
    'compressed with %s holds the stream',
    async (compression) => {
      const options: Options = { ...small, camera: 512, events: 30 }
      const bytes = await runFileBytes(options, null, { compression }).catch((error: unknown) => error)
      // bzip2 runs a program that may be missing: then the error states it.
      if (bytes instanceof InvalidInputError) return expect(bytes.message).toContain('apt-get install bzip2')
      expect(Buffer.compare(await decoders[compression](bytes as Uint8Array), await streamOf(options))).toBe(
        0,
      )
    },
  )

  test('lz4 blocks refer to the previous block: a repetitive stream becomes very small', async () => {
    const pattern = Uint8Array.from({ length: 9_000_001 }, (_, at) => (at * at) & 0x3f)
    const frame: Uint8Array[] = []
    for await (const piece of lz4Frame(
      (async function* () {
        yield pattern
      })(),
    ))
      frame.push(piece)
    const bytes = new Uint8Array(Buffer.concat(frame))
    expect(bytes.length).toBeLessThan(pattern.length / 50)
    expect(Buffer.compare(await decoders.lz4(bytes), pattern)).toBe(0)
  })

  test('a run file is written under its key, completely or not at all, and never replaces another', async () => {
    const directory = await folder()
    const written = await writeRunFile(directory, { ...small, tag: 'LNF', subruns: 2 }, 1, {
      compression: 'lz4',
    })
    expect(written).toMatchObject({
      key: 'LNF/run00001sub0001.mid.lz4',
      subrun: 1,
      path: join(directory, 'LNF/run00001sub0001.mid.lz4'),
    })
    expect((await readFile(written.path)).length).toBe(written.sizeBytes)
    await expect(
      writeRunFile(directory, { ...small, tag: 'LNF', subruns: 2 }, 1, { compression: 'lz4' }),
    ).rejects.toThrow(/--force/)

    const stop = new AbortController()
    const onProgress = () => stop.abort()
    const interrupted = writeRunFile(directory, { ...small, runNumber: 2, tag: 'LNF' }, null, {
      signal: stop.signal,
      onProgress,
    })
    await expect(interrupted).rejects.toThrow(/abort/i)
    expect(await readdir(join(directory, 'LNF'))).toEqual(['run00001sub0001.mid.lz4'])
  })

  test('a run file has about the requested size', async () => {
    const options: Options = { camera: 128, digitizers: false }
    const events = await eventsForSize(options, 2e6, 'gzip')
    const size = (await runFileBytes({ ...options, events })).length
    expect(size).toBeGreaterThan(1.8e6)
    expect(size).toBeLessThan(2.2e6)
    await expect(eventsForSize({ camera: 512 }, 20_000, 'gzip')).rejects.toThrow(/smaller camera/)
  })
})
