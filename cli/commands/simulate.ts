/** `cygnet simulate`: writes run files as the DAQ would, for tests without a detector. */
import { resolve } from 'node:path'
import { SingleBar } from 'cli-progress'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { InvalidInputError } from '../../shared/errors.ts'
import { bytesOfText, wholeNumber } from '../arguments.ts'
import { bytes, print, printJson, printToStderr } from '../output.ts'
import { type Camera, frameSize } from '../simulate/camera.ts'
import { type Compression, compressions } from '../simulate/compress.ts'
import {
  defaultOptions,
  type Fault,
  faults,
  type OdbForm,
  odbForms,
  type SimulationOptions,
} from '../simulate/options.ts'
import { eventsForSize, subrunsOf, type WrittenRunFile, writeRunFile } from '../simulate/write.ts'

interface Flags {
  readonly out: string
  readonly runs: number
  readonly firstRun: number
  readonly tag: string
  readonly events?: number
  readonly size?: number
  readonly camera: Camera
  readonly compression: Compression
  readonly odb: OdbForm
  readonly subruns: number
  readonly fault?: Fault
  readonly pedestal: boolean
  readonly digitizers: boolean
  readonly startTime?: number
  readonly seed: number
  readonly force: boolean
  readonly json: boolean
}

const EXAMPLES = `
Examples:
  cygnet simulate                                         one run of 10 full camera events: ./runs/LNGS/run00001.mid.gz
  cygnet simulate --runs 5 --first-run 17160 --events 100
  cygnet simulate --size 450MB --out /data                a run whose file has about 450 MB
  cygnet simulate --camera 64 --no-digitizers --events 3  a file of some kilobytes
  cygnet simulate --subruns 3 --compression lz4           run00001sub0000.mid.lz4 and two more
  cygnet simulate --fault crash                           a run that the logger did not finish

The files are written below --out under their keys in the bucket (TAG/run00001.mid.gz). The same options,
--seed and --start-time give the same bytes.`

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('simulate')
    .summary('write realistic run files')
    .description(
      'Writes MIDAS run files as the DAQ would: camera noise with tracks, digitizers, slow control, ODB dumps.',
    )
    .option('-o, --out <directory>', 'where to write', 'runs')
    .option('-n, --runs <count>', 'runs to write', wholeNumber(1, 100_000), 1)
    .option(
      '--first-run <number>',
      'number of the first run; the others follow',
      wholeNumber(0, 0x7fffffff),
      1,
    )
    .option('-t, --tag <tag>', 'site', 'LNGS')
    .addOption(
      new Option('-e, --events <count>', 'camera events (triggers) in each run (default: 10)')
        .argParser(wholeNumber(0, 10_000_000))
        .conflicts('size'),
    )
    .addOption(
      new Option('--size <bytes>', 'approximate size of each run instead, e.g. 300kB, 450MB, 2GB').argParser(
        parseSize,
      ),
    )
    .option(
      '--camera <sensor>',
      'fusion (2304 × 2304), quest (4096 × 2304), flash (2048 × 2048), or the side of a small square',
      parseCamera,
      'fusion',
    )
    .addOption(
      new Option('--compression <kind>', 'compression of the files').choices(compressions).default('gzip'),
    )
    .addOption(new Option('--odb <form>', 'form of the ODB dumps').choices(odbForms).default('json'))
    .option('--subruns <count>', 'files each run is split into', wholeNumber(1, 10_000), 1)
    .addOption(new Option('--fault <kind>', 'a fault in every run').choices(faults))
    .option('--pedestal', 'pedestal runs: high voltage off, no tracks', false)
    .option('--no-digitizers', 'camera alone')
    .option(
      '--start-time <time>',
      'start of the first run: Unix seconds or 2026-05-01T18:51:19Z (default: such that the last run ends now)',
      parseTime,
    )
    .option(
      '--seed <number>',
      'seed of the random tracks and noise',
      wholeNumber(0, 0xffffffff),
      defaultOptions.seed,
    )
    .option('-f, --force', 'replace existing files', false)
    .option('--json', 'print what was written as one JSON object', false)
    .addHelpText('after', EXAMPLES)
    .action(run)
}

async function run(flags: Flags): Promise<void> {
  const stop = new AbortController()
  const interrupt = () => stop.abort()
  process.once('SIGINT', interrupt)
  try {
    const files = await writeRuns(flags, stop.signal)
    if (flags.json) printJson({ files })
    else
      for (const file of files)
        print(`${file.path}  ${bytes(file.sizeBytes)} (${bytes(file.uncompressedBytes)} uncompressed)`)
  } catch (error) {
    if (!stop.signal.aborted) throw withoutStack(error, flags.out)
    printToStderr('interrupted; the unfinished file was removed')
    process.exitCode = 130
  } finally {
    process.removeListener('SIGINT', interrupt)
  }
}

/** An error of the file system as a sentence for the caller, without a stack. */
function withoutStack(error: unknown, directory: string): unknown {
  if (!(error instanceof Error && 'syscall' in error)) return error
  return new InvalidInputError(
    `simulate: cannot write below ${directory}: ${error.message}`,
    {},
    { cause: error },
  )
}

async function writeRuns(flags: Flags, signal: AbortSignal): Promise<readonly WrittenRunFile[]> {
  const shape: Partial<SimulationOptions> = {
    seed: flags.seed,
    tag: flags.tag,
    camera: flags.camera,
    pedestal: flags.pedestal,
    digitizers: flags.digitizers,
    odb: flags.odb,
    subruns: flags.subruns,
    fault: flags.fault ?? null,
    description: flags.pedestal ? 'Simulated pedestal run' : 'Simulated run',
  }
  const events =
    flags.size === undefined
      ? (flags.events ?? defaultOptions.events)
      : await eventsForSize(shape, flags.size, flags.compression)
  const files: WrittenRunFile[] = []
  const bar = progressBar(flags, events)
  try {
    const lastsSeconds = flags.runs * (SECONDS_BETWEEN_STARTS + events)
    let startTime = flags.startTime ?? Math.floor(Date.now() / 1000) - lastsSeconds
    for (let index = 0; index < flags.runs; index++) {
      const options = { ...shape, events, runNumber: flags.firstRun + index, startTime }
      for (const subrun of subrunsOf(options)) {
        const before = files.reduce((sum, file) => sum + file.uncompressedBytes, 0)
        const onProgress = (written: number) => bar?.update(before + written)
        files.push(
          await writeRunFile(flags.out, options, subrun, {
            compression: flags.compression,
            overwrite: flags.force,
            signal,
            onProgress,
          }),
        )
      }
      startTime += SECONDS_BETWEEN_STARTS + events
    }
  } finally {
    bar?.stop()
  }
  return files.map((file) => ({ ...file, path: resolve(file.path) }))
}

/** A run of n events takes less than n seconds; then the DAQ pauses. */
const SECONDS_BETWEEN_STARTS = 13

/** On a terminal only: bytes written of those expected. */
function progressBar(flags: Flags, events: number): SingleBar | null {
  if (!process.stderr.isTTY || flags.json) return null
  const { width, height } = frameSize(flags.camera)
  const digitizerBytes = flags.digitizers && !flags.pedestal ? 320_000 : 0
  const total = flags.runs * events * (width * height * 2 + digitizerBytes)
  const bar = new SingleBar({
    stream: process.stderr,
    format: 'writing {bar} {percentage}% of {size} (uncompressed), {eta_formatted} left',
    clearOnComplete: true,
    hideCursor: true,
  })
  bar.start(Math.max(1, total), 0, { size: bytes(total) })
  return bar
}

// ---- options

function parseSize(text: string): number {
  const size = bytesOfText(text)
  if (!Number.isFinite(size) || size < 1)
    throw new InvalidArgumentError('A size such as 300kB, 450MB or 2GB is expected.')
  return size
}

function parseCamera(text: string): Camera {
  if (text === 'fusion' || text === 'quest' || text === 'flash') return text
  const side = wholeNumber(8, 4096)
  try {
    return side(text)
  } catch {
    throw new InvalidArgumentError(
      'fusion, quest, flash, or the side of a square in pixels (8 to 4096) is expected.',
    )
  }
}

function parseTime(text: string): number {
  const seconds = /^\d+$/.test(text) ? Number(text) : Math.floor(Date.parse(text) / 1000)
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 0xffffffff)
    throw new InvalidArgumentError('Unix seconds or a time such as 2026-05-01T18:51:19Z is expected.')
  return seconds
}
