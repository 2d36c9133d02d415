/**
 * `cygnet push`: sends files from the DAQ's disk into S3 with their checksums, and compares the stored objects
 * with them.
 */
import { join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseRunKey } from '../../shared/run.ts'
import { LARGEST_PART_BYTES, SMALLEST_PART_BYTES } from '../../shared/storage/upload-layout.ts'
import { bytesOfText, parseTag, wholeNumber } from '../arguments.ts'
import { bytes, duration, print } from '../output.ts'
import type { PushResult, PushState } from '../push/result.ts'
import { interruption, stackFolder } from '../settings.ts'

interface Flags {
  readonly watch?: string
  readonly once: boolean
  readonly idle: number
  readonly deleteWhenSafe: boolean
  readonly keepNewest: number
  readonly keepHours: number
  readonly tag?: string
  readonly key?: string
  readonly bucket?: string
  readonly partSize: number
  readonly concurrency: number
  readonly overwrite: boolean
  readonly anyName: boolean
  readonly newTag: boolean
  readonly dryRun: boolean
  readonly json: boolean
}

const EXAMPLES = `
Examples:
  cygnet push --tag LNGS /data/run12345.mid.gz            becomes cygno-data/LNGS/run12345.mid.gz
  cygnet push --tag LNGS --dry-run /data/run*.mid.gz      shows what would be sent
  cygnet push --key LNF/run00012.mid.gz recovered.mid.gz

The file's md5, sha256 and adler32 are sent as metadata, and the store's answer is compared with them. A file that is already in
the store is not sent again; another object under the same key is kept. With --overwrite the file is sent in any case: so it also
replaces an object whose bytes rotted, whose ETag remains. A large file is sent in parts: after any interruption the same command
sends the missing parts. Files are only read, never deleted.
A tag of which the store has nothing yet is confirmed, by an answer or by --new-tag: lngs beside LNGS would be a second site.
Exit code 0 means that every file is in the store and was compared.

Watching a folder:
  cygnet push --watch /data --tag LNGS                    sends runs as the DAQ closes them, until Ctrl-C
  cygnet push --watch /data --tag LNGS --once             one pass, and a table of pending files; exit code 1 if there are
                                                          any, or the catalogue refuses reports about files
  cygnet push --watch /data --tag LNGS --delete-when-safe

A run is closed when a later run has begun, when its file ends with an end-of-run event, or when the file was not written for
--idle seconds (after a crash; it is sent as it is). A .mid next to its .mid.gz is being compressed. In a folder with compressed
runs a .mid waits for its compression; elsewhere it is sent as it is. Only run files are read, and symbolic links are not followed.
The newest and the oldest run are sent first, at the same time. --delete-when-safe removes a file when its contents, read again,
are those in the catalogue, the object in the store is the catalogued one, and the API has verified a copy on tape in that moment.
It never removes the --keep-newest runs, nor files younger than --keep-hours. With CYGNET_API_URL and CYGNET_API_TOKEN no other
credentials are needed.`

const MIB = 1024 ** 2

export function register(program: Command): void {
  program
    .command('push')
    .summary('send run files into the store')
    .description(
      'Sends files into S3 with their checksums, in parts, resumable, and compares the stored objects with them.',
    )
    .argument('[files...]', 'run files')
    .addOption(
      new Option('-t, --tag <tag>', 'site or detector: the key is TAG/FILE-NAME')
        .argParser(parseTag)
        .conflicts('key'),
    )
    .option('--key <key>', 'key of the one file given')
    .option('--bucket <bucket>', 'bucket (default: the first of CYGNET_RAW_BUCKETS, cygno-data)')
    .addOption(
      new Option('--part-size <size>', 'size of a part; larger files are sent in parts')
        .default(16 * MIB, '16MiB')
        .argParser(parsePartSize),
    )
    .addOption(
      new Option('--concurrency <count>', 'parts sent at once').default(4).argParser(wholeNumber(1, 64)),
    )
    .option('--overwrite', 'send it in any case, and replace the object under the key', false)
    .option('--any-name', 'also send files whose names are not those of runs', false)
    .option('--new-tag', 'the tag is that of a new site, of which the store has nothing yet', false)
    .option('--dry-run', 'only show what would be sent', false)
    .option('--json', 'one JSON object a line for each file', false)
    .addOption(
      new Option('--watch <directory>', 'send the runs that the DAQ closes in this directory').conflicts([
        'key',
        'overwrite',
        'anyName',
        'dryRun',
      ]),
    )
    .option('--once', 'with --watch: one pass', false)
    .addOption(
      new Option('--idle <seconds>', 'with --watch: a file is closed after this time without a change')
        .default(900)
        .argParser(wholeNumber(0, 31_536_000)),
    )
    .option(
      '--delete-when-safe',
      'with --watch: remove files that are verified in the store and on tape',
      false,
    )
    .addOption(
      new Option('--keep-newest <runs>', 'never remove the newest runs')
        .default(20)
        .argParser(wholeNumber(0, 1_000_000)),
    )
    .addOption(
      new Option('--keep-hours <hours>', 'never remove younger files')
        .default(24)
        .argParser(wholeNumber(0, 1_000_000)),
    )
    .addHelpText('after', EXAMPLES)
    .action(run)
}

async function run(files: readonly string[], flags: Flags, command: Command): Promise<void> {
  if (flags.watch !== undefined) return await watch(files, flags, flags.watch, command)
  if (files.length === 0) command.error('error: give files, or a folder with --watch', { exitCode: 2 })
  if (flags.deleteWhenSafe || flags.once)
    command.error(
      'error: --once and --delete-when-safe need --watch; files given by name are never deleted',
      { exitCode: 2 },
    )
  const place = placeOf(files, flags, command)
  const [{ pushFiles }, { loadPushSettings }, { checkTag }, { createProgressBars }] = await Promise.all([
    import('../push/push.ts'),
    import('../push/open-store.ts'),
    import('../push/new-tag.ts'),
    import('../push/progress.ts'),
  ])
  const signal = interruption()
  const settings = await loadPushSettings(flags)
  const store = await settings.open(signal)
  const bars = process.stderr.isTTY && !flags.json ? createProgressBars(process.stderr) : null
  const results: PushResult[] = []
  const startedAt = performance.now()
  try {
    const tag = 'tag' in place ? place.tag : parseRunKey(place.key)?.tag
    if (tag !== undefined && !flags.newTag && !flags.anyName)
      await checkTag(
        store,
        settings.config,
        { tag, bucket: flags.bucket ?? store.bucket, canAsk: !flags.json },
        signal,
      )
    const request = {
      files,
      place,
      bucket: flags.bucket ?? store.bucket,
      partSizeBytes: flags.partSize,
      concurrency: flags.concurrency,
      overwrite: flags.overwrite,
      anyName: flags.anyName,
      dryRun: flags.dryRun,
    }
    const context = {
      s3: store.s3,
      store: store.name,
      stateFolder: join(stackFolder(), 'push'),
      signal,
      ...(bars === null ? {} : { onProgress: bars.show }),
    }
    for await (const result of pushFiles(request, context)) {
      bars?.clear()
      print(flags.json ? JSON.stringify(result) : line(result))
      results.push(result)
    }
  } finally {
    bars?.clear()
    store.close()
  }
  if (!flags.json) print(summary(results, (performance.now() - startedAt) / 1000))
  if (signal.aborted) process.exitCode = 130
  else if (results.some(({ state }) => state === 'refused' || state === 'failed')) process.exitCode = 1
}

async function watch(
  files: readonly string[],
  flags: Flags,
  directory: string,
  command: Command,
): Promise<void> {
  if (files.length > 0) command.error('error: give files or --watch, not both', { exitCode: 2 })
  if (flags.tag === undefined) command.error('error: give --tag (LNGS, LNF, MAN, …)', { exitCode: 2 })
  const { runWatch } = await import('../watch/command.ts')
  await runWatch({ ...flags, watch: directory, tag: flags.tag })
}

function placeOf(files: readonly string[], { tag, key }: Flags, command: Command) {
  if (key !== undefined && files.length > 1)
    command.error('error: --key is for one file; give --tag for several files', { exitCode: 2 })
  if (key !== undefined) return { key }
  if (tag !== undefined) return { tag }
  return command.error('error: give --tag (LNGS, LNF, MAN, …), or for one file --key', { exitCode: 2 })
}

const WORDS: Readonly<Record<PushState, string>> = {
  uploaded: 'uploaded',
  'already-there': 'already there',
  'would-upload': 'would upload',
  refused: 'refused',
  failed: 'failed',
}

function line(result: PushResult): string {
  const word = WORDS[result.state].padEnd(13)
  const place = `s3://${result.bucket}/${result.key}`
  if (result.error !== null) return `${word}  ${result.file}: ${result.error}`
  const parts = result.partCount === null || result.partCount === 1 ? '' : ` in ${result.partCount} parts`
  if (result.state === 'would-upload') return `${word}  ${place}  ${bytes(result.sizeBytes)}${parts}`
  const warning = result.warning === null ? '' : ` (${result.warning})`
  const verified = `verified by ${result.verifiedBy.join(', ')}${warning}`
  if (result.state === 'already-there') return `${word}  ${place}  ${bytes(result.sizeBytes)}, ${verified}`
  const resumed =
    result.sizeBytes !== null && result.sentBytes < result.sizeBytes
      ? ` (${bytes(result.sentBytes)} sent now)`
      : ''
  return `${word}  ${place}  ${bytes(result.sizeBytes)}${parts}${resumed} in ${duration(result.seconds)}, ${verified}`
}

function summary(results: readonly PushResult[], seconds: number): string {
  const counts = (Object.keys(WORDS) as PushState[]).flatMap((state) => {
    const count = results.filter((result) => result.state === state).length
    return count === 0 ? [] : [`${count} ${WORDS[state]}`]
  })
  const sent = results.reduce((sum, { sentBytes }) => sum + sentBytes, 0)
  return `${counts.join(', ')}; ${bytes(sent)} sent in ${duration(seconds)}`
}

function parsePartSize(text: string): number {
  const size = Math.round(bytesOfText(text))
  if (!(size >= SMALLEST_PART_BYTES && size <= LARGEST_PART_BYTES))
    throw new InvalidArgumentError('A size from 5MiB to 5GiB is expected, e.g. 16MiB.')
  return size
}
