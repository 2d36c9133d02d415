/** `cygnet get`: runs onto this machine, through links, compared with the catalogue. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { InvalidInputError } from '../../shared/errors.ts'
import { isTag } from '../../shared/notifications/run-key.ts'
import type { GetResult, GetState } from '../get/get-runs.ts'
import type { LinkSource, RunName } from '../get/link-source.ts'
import { bytes, duration, print, tell } from '../output.ts'
import { interruption } from '../settings.ts'
import { ON_ITS_WAY } from './recall.ts'
import { parseRunNumber } from './runs.ts'

interface Flags {
  readonly tag?: string
  readonly range?: { readonly from: number; readonly to: number }
  readonly out: string
  readonly reco: boolean
  readonly concurrency: number
  readonly json: boolean
}

const EXAMPLES = `
Examples:
  cygnet get 12345                                the files of run 12345, here
  cygnet get 12345 12350 --tag LNGS --out /data   two runs of LNGS
  cygnet get --range 12000..12100 --tag LNGS      all runs of the catalogue in this range, both ends included

With CYGNET_API_URL, or signed in with \`cygnet login\`, the catalogue's API is asked for links; with the settings of the catalogue
and the store they are made here. Large files come in several pieces at once. A file has its name when all of it
is there and agrees with the catalogue in md5 and adler32; until then it is NAME.part, and after an interruption the same command
goes on with it. A file that is there and agrees is not fetched again; nothing is ever written over.
Exit codes: 0 every file is there, 3 some are being brought back from tape, 1 some cannot be had, or failed.`

const MIB = 1024 ** 2
/** Small enough that little comes twice after an interruption, large enough that a request costs nothing. */
const PIECE_BYTES = 16 * MIB
/** About a minute without a byte. */
const PATIENCE = { attempts: 9, firstPauseMs: 250 } as const

export function register(program: Command): void {
  program
    .command('get')
    .description('fetch runs: resumable, several pieces at once, compared with the catalogue')
    .argument('[runs...]', 'run numbers', (text: string, before: readonly number[] = []) => [...before, parseRunNumber(text)])
    .addOption(new Option('--tag <tag>', 'when several tags have a run of this number').argParser(parseTag))
    .addOption(new Option('--range <from..to>', 'all runs of the catalogue in this range').argParser(parseRange))
    .option('--out <folder>', 'where to', '.')
    .option('--reco', 'the reconstructed files of the runs', false)
    .addOption(new Option('--concurrency <count>', 'pieces of a file under way at once').default(4).argParser(parseConcurrency))
    .option('--json', 'one JSON object a file', false)
    .addHelpText('after', EXAMPLES)
    .action(run)
}

async function run(numbers: readonly number[], flags: Flags, command: Command): Promise<void> {
  if (numbers.length === 0 && flags.range === undefined) command.error('error: give run numbers or --range', { exitCode: 2 })
  if (numbers.length > 0 && flags.range !== undefined) command.error('error: give run numbers or --range, not both', { exitCode: 2 })
  if (flags.reco) throw new InvalidInputError('there are no reconstructed files yet: runs are catalogued and copied, and not reconstructed')
  const [{ openLinkSource }, { getRuns }, { createRangeFetcher }, { createGetBar }] = await Promise.all([
    import('../get/open-source.ts'),
    import('../get/get-runs.ts'),
    import('../get/fetch-range.ts'),
    import('../get/progress.ts'),
  ])
  const signal = interruption()
  const source = await openLinkSource()
  const { fetchRange, close } = createRangeFetcher()
  const bar = process.stderr.isTTY && !flags.json ? createGetBar(process.stderr) : null
  const results: GetResult[] = []
  try {
    const runs = await chooseRuns(source, numbers, flags, signal)
    const options = {
      folder: flags.out,
      fetchRange,
      concurrency: flags.concurrency,
      pieceBytes: PIECE_BYTES,
      patience: PATIENCE,
      onProgress: bar?.show ?? (() => {}),
      signal,
      now: () => new Date(),
    }
    for await (const result of getRuns(source, runs, options)) {
      bar?.clear()
      if (flags.json) print(JSON.stringify(result))
      else show(result)
      results.push(result)
    }
  } finally {
    bar?.clear()
    await Promise.all([source.close(), close()])
  }
  if (!flags.json && results.length > 1) tell(summary(results))
  process.exitCode = signal.aborted ? 130 : exitCode(results)
}

/** @throws InvalidInputError when a run is not in the catalogue, or it must be said of which tag it is meant. */
async function chooseRuns(source: LinkSource, numbers: readonly number[], { range, tag }: Flags, signal: AbortSignal) {
  if (range !== undefined) {
    const runs = await source.runsIn({ ...range, tag }, signal)
    if (runs.length === 0) throw new InvalidInputError(`the catalogue has no runs from ${range.from} to ${range.to}${ofTag(tag)}`)
    checkTags(runs, `runs from ${range.from} to ${range.to}`)
    return runs
  }
  const chosen: RunName[] = []
  for (const number of new Set(numbers)) {
    const runs = await source.runsIn({ from: number, to: number, tag }, signal)
    checkTags(runs, `a run ${number}`)
    if (runs.length === 0) throw new InvalidInputError(`run ${number}${ofTag(tag)} is not in the catalogue`)
    chosen.push(...runs)
  }
  return chosen
}

const ofTag = (tag: string | undefined) => (tag === undefined ? '' : ` of ${tag}`)

function checkTags(runs: readonly RunName[], what: string): void {
  const tags = [...new Set(runs.map(({ tag }) => tag))]
  if (tags.length > 1) throw new InvalidInputError(`there is ${what} of ${tags.slice(0, -1).join(', ')} and of ${tags.at(-1)}: say --tag`)
}

const WORDS: Readonly<Record<GetState, string>> = {
  fetched: 'fetched',
  'already-there': 'already there',
  recalling: 'recalling',
  'on-tape': 'only on tape',
  unavailable: 'unavailable',
  failed: 'failed',
}

/** Paths of files that are there on standard output, for scripts; all else on standard error. */
function show({ state, path, file, tag, runNumber, sizeBytes, receivedBytes, seconds, md5, reason }: GetResult): void {
  const word = WORDS[state].padEnd(13)
  if (state === 'fetched' || state === 'already-there') {
    const came = state === 'fetched' ? ` (${bytes(receivedBytes)} now, in ${duration(seconds)})` : ''
    tell(`${word}  ${path}  ${bytes(sizeBytes)}${came}, md5 ${md5}`)
    print(path ?? '')
  } else tell(`${word}  ${file ?? `run ${runNumber} of ${tag}`}: ${reason ?? ''}`)
}

function summary(results: readonly GetResult[]): string {
  const counts = (Object.keys(WORDS) as GetState[]).flatMap((state) => {
    const count = results.filter((result) => result.state === state).length
    return count === 0 ? [] : [`${count} ${WORDS[state]}`]
  })
  return counts.join(', ')
}

function exitCode(results: readonly GetResult[]): number {
  if (results.some(({ state }) => state === 'failed' || state === 'on-tape' || state === 'unavailable')) return 1
  return results.some(({ state }) => state === 'recalling') ? ON_ITS_WAY : 0
}

function parseTag(text: string): string {
  if (!isTag(text)) throw new InvalidArgumentError('It is a site such as LNGS, without / at its ends.')
  return text
}

function parseRange(text: string): { readonly from: number; readonly to: number } {
  const [from = '', to = '', ...more] = text.split('..')
  if (from === '' || to === '' || more.length > 0) throw new InvalidArgumentError('expected FROM..TO, e.g. 12000..12100.')
  const range = { from: parseRunNumber(from), to: parseRunNumber(to) }
  if (range.from > range.to) throw new InvalidArgumentError('the first number is the smaller one.')
  return range
}

function parseConcurrency(text: string): number {
  const count = Number(text)
  if (!/^\d+$/.test(text) || count < 1 || count > 32) throw new InvalidArgumentError('It is a whole number from 1 to 32.')
  return count
}
