/**
 * `cygnet inspect`: prints what extraction would write into the catalogue about a file, and writes nothing.
 */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { SingleBar } from 'cli-progress'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { CygnetError, InvalidInputError } from '../../shared/errors.ts'
import type { FileMetadata } from '../../shared/extraction/metadata.ts'
import { renderMetadata } from '../../shared/extraction/render.ts'
import { withoutSecrets } from '../../shared/log.ts'
import { DEFAULT_MAX_EVENT_BYTES } from '../../shared/midas/reader.ts'
import { parseRunKey } from '../../shared/run.ts'
import { bytes, list, print, printJson, printToStderr, table, time } from '../output.ts'
import { cameraRows } from '../runs/run-text.ts'

interface Flags {
  readonly json: boolean
  readonly tag?: string
  readonly igzip: 'auto' | 'never'
  readonly maxEventBytes: number
}

const NOTES = `
The tag is the name of the file's folder when it has the form of a tag (LNGS/run12345.mid.gz), unless --tag is given.
For a truncated or damaged file the readable part is shown and the exit code is 0. The exit code is 1 when
nothing in it is readable; with --json the reason is then printed as {"error": "..."}.

Examples:
  cygnet inspect LNGS/run12345.mid.gz
  cygnet inspect --json run12345.mid.lz4
  cygnet inspect s3://cygno-data/LNGS/run12345.mid.gz`

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('inspect')
    .summary('show what is in a run file')
    .description(
      'Reads a MIDAS run file (.mid, .mid.gz, .mid.lz4, .mid.bz2) and shows what extraction would write into the catalogue.',
    )
    .argument('<file>', 'a path, or s3://bucket/key')
    .option('--json', 'print one JSON object', false)
    .option('-t, --tag <tag>', 'the tag, instead of the name of the folder')
    .addOption(
      new Option('--igzip <use>', 'decompress gzip with the igzip program, if it is installed')
        .choices(['auto', 'never'])
        .default('never'),
    )
    .option(
      '--max-event-bytes <bytes>',
      'larger events are treated as damage',
      positive,
      DEFAULT_MAX_EVENT_BYTES,
    )
    .addHelpText('after', NOTES)
    .action(run)
}

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('A number of bytes is expected.')
  return value
}

async function run(target: string, flags: Flags): Promise<void> {
  try {
    const source = target.startsWith('s3://') ? await objectSource(target) : await fileSource(target)
    const metadata = await inspect(source, flags)
    const tag = flags.tag ?? source.tag
    if (flags.json) printJson(renderMetadata(metadata, tag))
    else print(describe(metadata, tag))
  } catch (error) {
    if (!flags.json || !(error instanceof Error)) throw error
    // A program that reads the output gets JSON for every error.
    printJson({ error: withoutSecrets(error.message) })
    if (!(error instanceof CygnetError)) printToStderr(withoutSecrets(error.stack ?? error.message))
    process.exitCode = 1
  }
}

interface ReadableSource {
  readonly fileName: string
  readonly tag: string | null
  readonly sizeBytes: number
  open(signal: AbortSignal): AsyncIterable<Uint8Array>
}

async function inspect(source: ReadableSource, flags: Flags): Promise<FileMetadata> {
  const { extractFile } = await import('../../shared/extraction/extract-file.ts')
  const stop = new AbortController()
  const interrupt = () => stop.abort(new InvalidInputError('interrupted'))
  process.once('SIGINT', interrupt)
  const bar = progressBar(source.sizeBytes)
  try {
    return await extractFile(source, {
      igzip: flags.igzip,
      maxEventBytes: flags.maxEventBytes,
      signal: stop.signal,
      onProgress: (done) => bar?.update(done),
    })
  } finally {
    bar?.stop()
    process.removeListener('SIGINT', interrupt)
  }
}

/** @throws InvalidInputError when the address is not s3://bucket/key or there is no such object. */
async function objectSource(address: string): Promise<ReadableSource> {
  const { bucket, key } = /^s3:\/\/(?<bucket>[^/]+)\/(?<key>.+)$/.exec(address)?.groups ?? {}
  if (bucket === undefined || key === undefined)
    throw new InvalidInputError(`${address} is not s3://<bucket>/<key>`)
  const [{ loadStoreSettings }, { createS3Client }, { describeObject, readObject }] = await Promise.all([
    import('../settings.ts'),
    import('../../shared/storage/client.ts'),
    import('../../shared/storage/objects.ts'),
  ])
  const s3 = createS3Client(await loadStoreSettings())
  const object = await describeObject(s3, { bucket, key }, AbortSignal.timeout(30_000))
  if (object === null) throw new InvalidInputError(`there is no object ${address}`)
  return {
    fileName: key.slice(key.lastIndexOf('/') + 1),
    tag: parseRunKey(key)?.tag ?? null,
    sizeBytes: object.sizeBytes,
    open: (signal) => readObject(s3, object, signal),
  }
}

const TAG_FOLDER = /^[A-Z][A-Z0-9_-]*$/
const PIECE_BYTES = 512 * 1024

async function fileSource(path: string): Promise<ReadableSource> {
  const found = await stat(path).catch((cause) => {
    throw new InvalidInputError(`cannot read ${path}: ${cause instanceof Error ? reason(cause) : cause}`)
  })
  if (!found.isFile())
    throw new InvalidInputError(
      `${path} is ${found.isDirectory() ? 'a folder' : 'a device or pipe'}, not a file`,
    )
  const folder = basename(dirname(resolve(path)))
  return {
    fileName: basename(path),
    tag: TAG_FOLDER.test(folder) ? folder : null,
    sizeBytes: found.size,
    open: (signal) => readable(path, signal),
  }
}

async function* readable(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: PIECE_BYTES, signal })
  } catch (cause) {
    if (signal.aborted || !(cause instanceof Error)) throw cause
    throw new InvalidInputError(`cannot read ${path}: ${reason(cause)}`)
  }
}

function reason(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'there is no such file'
  return error.code === 'EACCES' ? 'permission denied' : error.message
}

/** Smaller files are read too fast for a bar. */
const BAR_FROM_BYTES = 100_000_000

function progressBar(sizeBytes: number): SingleBar | null {
  if (!process.stderr.isTTY || sizeBytes < BAR_FROM_BYTES) return null
  const format = 'reading {bar} {percentage}% of {size}, {eta_formatted} left'
  const bar = new SingleBar({ stream: process.stderr, format, clearOnComplete: true, hideCursor: true })
  bar.start(sizeBytes, 0, { size: bytes(sizeBytes) })
  return bar
}

const at = (seconds: number | null) => time(seconds === null ? null : new Date(seconds * 1000))

function describe(metadata: FileMetadata, tag: string | null): string {
  const { problem, warnings, checksums, cameras, digitizers, internalEvents } = metadata
  const entries = (record: Readonly<Record<string, number>>) =>
    Object.entries(record)
      .map(([name, count]) => `${name}: ${count}`)
      .join(', ')
  const sections = [
    list([
      ['file', metadata.fileName],
      ['run', metadata.runNumber],
      ...(metadata.subrun === null ? [] : [['subrun', metadata.subrun] as const]),
      ['tag', tag],
      ['complete', metadata.complete ? 'yes' : 'no'],
      ...(problem === null ? [] : [['problem', problem.message] as const]),
      ...warnings.map((warning) => ['warning', warning.message] as const),
      ['size', `${bytes(metadata.sizeBytes)} (${metadata.sizeBytes} B), ${metadata.compression}`],
      ['uncompressed', `${bytes(metadata.uncompressedBytes)} (${metadata.uncompressedBytes} B)`],
      ['md5', checksums.md5],
      ['sha256', checksums.sha256],
      ['adler32', checksums.adler32],
      ['started', `${at(metadata.startedAt)} UTC`],
      ['stopped', `${at(metadata.stoppedAt)} UTC`],
      ['first event', `${at(metadata.firstEventTime)} UTC`],
      ['last event', `${at(metadata.lastEventTime)} UTC`],
      ['events', metadata.eventCount],
      ['events by id', entries(metadata.eventsById) || null],
      ['serial gaps', entries(metadata.serialGaps) || 'none'],
      ['internal', entries(internalEvents) || null],
      ...cameraRows(cameras),
      ...(digitizers ?? []).map((board) => ['digitizer', describeBoard(board)] as const),
    ]),
  ]
  const banks = Object.entries(metadata.banks)
  if (banks.length > 0)
    sections.push(
      table(
        ['bank', 'count', 'bytes'],
        banks.map(([name, bank]) => [name, bank.count, bank.bytes]),
      ),
    )
  const parameters = Object.entries(metadata.odb).filter(([, value]) => value !== null)
  if (parameters.length > 0) sections.push(list(parameters))
  return sections.join('\n\n')
}

const describeBoard = (board: NonNullable<FileMetadata['digitizers']>[number]) =>
  `${board.model}: ${board.channels} channels × ${board.samplesPerChannel} samples, ${board.samplingMHz} MS/s, ${board.resolutionBits} bits`
