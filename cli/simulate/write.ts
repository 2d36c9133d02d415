/** Simulated runs as files on disk or, for small runs, in memory. */
import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { InvalidInputError } from '../../shared/errors.ts'
import { type Compression, compress, compressionEnding } from './compress.ts'
import { midasFileName, type SimulationOptions, simulationOptions } from './options.ts'
import { simulateRun } from './run.ts'

export interface WrittenRunFile {
  readonly path: string
  /** Name as in the bucket: `LNGS/run00042.mid.gz`. */
  readonly key: string
  readonly runNumber: number
  /** Null for a run of one file. */
  readonly subrun: number | null
  readonly sizeBytes: number
  readonly uncompressedBytes: number
}

export interface WriteOptions {
  readonly compression?: Compression
  readonly gzipLevel?: number
  /** Replace an existing file. */
  readonly overwrite?: boolean
  readonly signal?: AbortSignal
  /** Called as the file grows, with its uncompressed bytes so far. */
  readonly onProgress?: (uncompressedBytes: number) => void
}

/** The fraction of the compressed file that the fault `cut-stream` leaves. */
const CUT_FRACTION = 0.6

/** Subruns of a run, or null for its only file. */
export function subrunsOf(options: Partial<SimulationOptions>): readonly (number | null)[] {
  const { subruns } = simulationOptions(options)
  return subruns === 1 ? [null] : Array.from({ length: subruns }, (_, subrun) => subrun)
}

/** The key of a run's file in the bucket. */
function runFileKey(
  given: Partial<SimulationOptions>,
  subrun: number | null,
  compression: Compression,
): string {
  const options = simulationOptions(given)
  return `${options.tag}/${midasFileName(options.runNumber, subrun)}${compressionEnding[compression]}`
}

/**
 * Writes one file of a run below `directory`, under its key; it gets its name when it is complete.
 * @throws InvalidInputError when the file exists already.
 */
export async function writeRunFile(
  directory: string,
  given: Partial<SimulationOptions>,
  subrun: number | null = null,
  writing: WriteOptions = {},
): Promise<WrittenRunFile> {
  const options = simulationOptions(given)
  const compression = writing.compression ?? 'gzip'
  const key = runFileKey(options, subrun, compression)
  const path = join(directory, key)
  if (writing.overwrite !== true && (await exists(path)))
    throw new InvalidInputError(
      `simulate: ${path} is there already; take another directory or run number, or replace it with --force`,
    )
  await mkdir(join(path, '..'), { recursive: true })
  const part = `${path}.part`
  const counted = { bytes: 0 }
  const source = count(simulateRun(options, subrun ?? 0), counted, writing.onProgress)
  const file = createWriteStream(part)
  try {
    await pipeline(compress(source, compression, writing), file, { signal: writing.signal })
    if (options.fault === 'cut-stream')
      await truncate(part, Math.floor((await stat(part)).size * CUT_FRACTION))
    await rename(part, path)
  } catch (error) {
    // A stream that is still being opened would make the file again.
    if (!file.closed) await new Promise<void>((resolve) => file.once('close', resolve))
    await rm(part, { force: true })
    throw error
  }
  return {
    path,
    key,
    runNumber: options.runNumber,
    subrun,
    sizeBytes: (await stat(path)).size,
    uncompressedBytes: counted.bytes,
  }
}

/** One file of a run in memory: for tests and for small runs. */
export async function runFileBytes(
  given: Partial<SimulationOptions>,
  subrun: number | null = null,
  writing: WriteOptions = {},
): Promise<Uint8Array> {
  const options = simulationOptions(given)
  const chunks: Uint8Array[] = []
  for await (const chunk of compress(
    simulateRun(options, subrun ?? 0),
    writing.compression ?? 'gzip',
    writing,
  ))
    chunks.push(chunk)
  const bytes = new Uint8Array(Buffer.concat(chunks))
  return options.fault === 'cut-stream' ? bytes.subarray(0, Math.floor(bytes.length * CUT_FRACTION)) : bytes
}

/**
 * The number of camera events for a run of about `sizeBytes` (all its files together), estimated from a sample of
 * four. Throws InvalidInputError when it is less than one.
 */
export async function eventsForSize(
  given: Partial<SimulationOptions>,
  sizeBytes: number,
  compression: Compression,
): Promise<number> {
  const sizeOf = async (events: number) =>
    (await runFileBytes({ ...given, events, subruns: 1, fault: null }, null, { compression })).length
  const sample = 4
  const empty = await sizeOf(0)
  const perEvent = ((await sizeOf(sample)) - empty) / sample
  const events = Math.round((sizeBytes - empty) / perEvent)
  if (events < 1)
    throw new InvalidInputError(
      `simulate: one event of this camera takes ${Math.round(perEvent)} bytes; choose a larger size or a smaller camera`,
    )
  return events
}

async function* count(
  source: AsyncIterable<Uint8Array>,
  counted: { bytes: number },
  onProgress?: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    counted.bytes += chunk.length
    onProgress?.(counted.bytes)
    yield chunk
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
