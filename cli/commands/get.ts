/** `cygnet get`: downloads runs through presigned links and compares them with the catalogue. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { InvalidInputError } from '../../shared/errors.ts'
import type { RunId } from '../../shared/run.ts'
import { apiClient } from '../api/client.ts'
import { API_HELP, apiOption } from '../api/option.ts'
import { parseRange, parseRunNumber, type RunRange, several, tagOption, wholeNumber } from '../arguments.ts'
import { createApiLinks } from '../get/api-links.ts'
import { chooseRange, chooseRun, missingText } from '../get/choose-runs.ts'
import type { FetchRange } from '../get/fetch-range.ts'
import type { GetResult, GetState } from '../get/get-file.ts'
import type { GetOptions } from '../get/get-runs.ts'
import type { LinkSource } from '../get/link-source.ts'
import type { GetBar } from '../get/progress.ts'
import { bytes, duration, print, printToStderr, time } from '../output.ts'
import { interruption } from '../settings.ts'
import { RECALL_IN_PROGRESS } from './recall.ts'

interface Flags {
  readonly api?: string
  readonly tag?: string
  readonly range?: RunRange
  readonly out: string
  readonly recall: boolean
  readonly wait: boolean
  readonly waitHours: number
  readonly reco: boolean
  readonly concurrency: number
  readonly json: boolean
}

const EXAMPLES = `
Examples:
  cygnet get 12345                                the files of run 12345, here
  cygnet get 12345 12350 --tag LNGS --out /data   two runs of LNGS
  cygnet get --range 12000..12100 --tag LNGS      all runs of the catalogue in this range, both ends included
  cygnet get 12345 --recall --wait                also from tape: fetched when it has been brought back

Large files are fetched in several pieces at once. A file gets its name when it is complete and its md5 and adler32 agree with the
catalogue; until then it is NAME.part, and after an interruption the same command resumes it. A file that is there and agrees is
not fetched again; no file is overwritten. The paths of complete files are printed on standard output, all other text on standard
error.
${API_HELP}

Exit codes: 0 every file is there, 3 some are being brought back from tape, 1 some are not available or failed.`

const MIB = 1024 ** 2
/** Small enough that an interruption repeats little, large enough that the cost of a request is negligible. */
const PIECE_BYTES = 16 * MIB
/** About a minute without a byte. */
const RETRY_POLICY = { attempts: 9, firstPauseMs: 250 } as const
/** Between two checks of files that come from tape, which takes minutes to hours. */
const POLL_MS = 15_000
const HOUR_MS = 3_600_000

export function register(program: Command): void {
  program
    .command('get')
    .description('fetch runs in several pieces at once, resumable, compared with the catalogue')
    .argument('[runs...]', 'run numbers', several(parseRunNumber))
    .addOption(tagOption())
    .addOption(
      new Option('--range <from..to>', 'all runs of the catalogue in this range').argParser(parseRange),
    )
    .option('--out <folder>', 'destination', '.')
    .option('--recall', 'bring back files that are only on tape', false)
    .option('--wait', 'wait for files that are being brought back from tape, and fetch them', false)
    .addOption(new Option('--wait-hours <hours>', 'longest time to wait').default(24).argParser(parseHours))
    .option('--reco', 'fetch the reconstructed files of the runs', false)
    .addOption(
      new Option('--concurrency <count>', 'pieces of a file fetched at the same time')
        .default(4)
        .argParser(wholeNumber(1, 32)),
    )
    .option('--json', 'one JSON object a file', false)
    .addOption(apiOption())
    .addHelpText('after', EXAMPLES)
    .action(run)
}

async function run(numbers: readonly number[], flags: Flags, command: Command): Promise<void> {
  if (numbers.length === 0 && flags.range === undefined)
    command.error('error: give run numbers or --range', { exitCode: 2 })
  if (numbers.length > 0 && flags.range !== undefined)
    command.error('error: give run numbers or --range, not both', { exitCode: 2 })
  if (flags.reco)
    throw new InvalidInputError(
      'there are no reconstructed files yet: runs are catalogued and copied, but not reconstructed',
    )
  await getAll(createApiLinks(apiClient(flags.api)), numbers, flags, interruption())
}

async function getAll(
  source: LinkSource,
  numbers: readonly number[],
  flags: Flags,
  signal: AbortSignal,
): Promise<void> {
  const [{ getRuns }, { createRangeFetcher }, { createGetBar }] = await Promise.all([
    import('../get/get-runs.ts'),
    import('../get/fetch-range.ts'),
    import('../get/progress.ts'),
  ])
  const { fetchRange, close } = createRangeFetcher()
  const bar = process.stderr.isTTY && !flags.json ? createGetBar(process.stderr) : null
  const results: GetResult[] = []
  try {
    const runs = await chooseRuns(source, numbers, flags, signal)
    if (flags.range !== undefined) reportRange(flags.range, runs)
    for await (const result of getRuns(source, runs, optionsOf(flags, fetchRange, bar, signal))) {
      bar?.clear()
      if (flags.json) print(JSON.stringify(result))
      else show(result)
      results.push(result)
    }
  } catch (error) {
    // Interrupted before the first file; later interruptions are in the result of the file.
    if (!signal.aborted) throw error
    printToStderr('interrupted')
  } finally {
    bar?.clear()
    await close()
  }
  if (!flags.json && results.length > 1) printToStderr(summary(results))
  process.exitCode = signal.aborted ? 130 : exitCode(results)
}

function optionsOf(
  flags: Flags,
  fetchRange: FetchRange,
  bar: GetBar | null,
  signal: AbortSignal,
): GetOptions {
  return {
    folder: flags.out,
    recall: flags.recall,
    waitUntil: flags.wait ? new Date(Date.now() + flags.waitHours * HOUR_MS) : null,
    pollMs: POLL_MS,
    onWaiting: waitingReporter(() => bar?.clear()),
    fetchRange,
    concurrency: flags.concurrency,
    pieceBytes: PIECE_BYTES,
    retryPolicy: RETRY_POLICY,
    onProgress: bar?.show ?? (() => {}),
    signal,
    now: () => new Date(),
  }
}

async function chooseRuns(
  source: LinkSource,
  numbers: readonly number[],
  { range, tag }: Flags,
  signal: AbortSignal,
): Promise<readonly RunId[]> {
  if (range !== undefined) return await chooseRange(source, range, tag, signal)
  const chosen: RunId[] = []
  for (const number of new Set(numbers)) chosen.push(await chooseRun(source, number, tag, signal))
  return chosen
}

/** Numbers without a run are not an error, but the user of a range should know them. */
function reportRange(range: RunRange, runs: readonly RunId[]): void {
  printToStderr(`${runs.length} ${runs.length === 1 ? 'run' : 'runs'} of ${runs[0]?.tag} in this range`)
  const missing = missingText(range, runs)
  if (missing !== null) printToStderr(missing)
}

/** Prints each file that the command waits for, once and again whenever its reason changes. */
function waitingReporter(clear: () => void): (file: GetResult) => void {
  const reported = new Map<string, string>()
  return ({ tag, file, reason }) => {
    const name = `${tag}/${file}`
    if (reported.get(name) === reason) return
    reported.set(name, reason ?? '')
    clear()
    printToStderr(`${'waiting'.padEnd(WIDTH)}  ${file}: ${reason ?? ''} (${time(new Date())} UTC)`)
  }
}

const WIDTH = 13
const WORDS: Readonly<Record<GetState, string>> = {
  fetched: 'fetched',
  'already-there': 'already there',
  recalling: 'recalling',
  'on-tape': 'only on tape',
  unavailable: 'unavailable',
  failed: 'failed',
}

function show({
  state,
  path,
  file,
  tag,
  runNumber,
  sizeBytes,
  receivedBytes,
  seconds,
  md5,
  reason,
  warning,
}: GetResult): void {
  const word = WORDS[state].padEnd(WIDTH)
  if (state === 'fetched' || state === 'already-there') {
    const received = state === 'fetched' ? ` (${bytes(receivedBytes)} now, in ${duration(seconds)})` : ''
    printToStderr(`${word}  ${path}  ${bytes(sizeBytes)}${received}, md5 ${md5}`)
    if (warning !== null) printToStderr(`warning: ${file} ${warning}`)
    print(path ?? '')
  } else printToStderr(`${word}  ${file ?? `run ${runNumber} of ${tag}`}: ${reason ?? ''}`)
}

function summary(results: readonly GetResult[]): string {
  const counts = (Object.keys(WORDS) as GetState[]).flatMap((state) => {
    const count = results.filter((result) => result.state === state).length
    return count === 0 ? [] : [`${count} ${WORDS[state]}`]
  })
  return counts.join(', ')
}

function exitCode(results: readonly GetResult[]): number {
  if (results.some(({ state }) => state === 'failed' || state === 'on-tape' || state === 'unavailable'))
    return 1
  return results.some(({ state }) => state === 'recalling') ? RECALL_IN_PROGRESS : 0
}

function parseHours(text: string): number {
  const hours = Number(text)
  if (!/^\d+(?:\.\d+)?$/.test(text) || hours <= 0 || hours > 1000)
    throw new InvalidArgumentError('A number of hours up to 1000 is expected.')
  return hours
}
