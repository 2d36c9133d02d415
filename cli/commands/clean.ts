/** `cygnet clean`: what the cleaner does by its schedule, on demand; and one run by name. */
import type { Command } from 'commander'
import { InvalidInputError } from '../../shared/errors.ts'
import { isTag } from '../../shared/notifications/run-key.ts'
import type { CleanedEvents } from '../../shared/replicas/clean-events.ts'
import type { CleanedFile, CleanedRuns } from '../../shared/replicas/clean-runs.ts'
import { parseRunNumber } from '../arguments.ts'
import { bytes, print, printJson, table } from '../output.ts'
import { withTapeContext } from '../settings.ts'

interface Options {
  readonly dryRun?: boolean
  readonly runs?: boolean
  readonly events?: boolean
  readonly tag?: string
  readonly run?: number
  readonly yes?: boolean
  readonly json?: boolean
}

const MORE = `
Without --runs or --events both are cleaned, as the schedule does it. A run leaves the store only when a copy of it on tape is
verified at this moment; a tombstone remains, and \`cygnet recall\` brings the run back. Without CYGNET_CLEAN_RUNS_AFTER_DAYS and
CYGNET_CLOUD_CAPACITY_BYTES no run is ever deleted, unless it is named.

--run N deletes the files of one run whatever its age, and whether or not a policy is configured; every other rule holds (verified
copy on tape, no recall, no checksum that disagrees, no protected prefix). It does nothing without --yes.

Examples:
  cygnet clean --dry-run
  cygnet clean --events --tag LNGS
  cygnet clean --run 12345 --tag LNGS --yes`

export function register(program: Command): void {
  program
    .command('clean')
    .description('let single events leave the buffer, and runs that are safe on tape the store')
    .option('--dry-run', 'only show what would be deleted (copies on tape are not verified for that)')
    .option('--runs', 'only runs')
    .option('--events', 'only single events')
    .option('--tag <tag>', 'only of this tag, e.g. LNGS')
    .option('--run <number>', 'the files of this run, whatever its age; needs --yes', parseRunNumber)
    .option('--yes', 'with --run: do it')
    .option('--json', 'one JSON object')
    .addHelpText('after', MORE)
    .action(clean)
}

async function clean(options: Options): Promise<void> {
  const { run, tag } = options
  if (tag !== undefined && !isTag(tag)) throw new InvalidInputError(`"${tag}" is not a tag`)
  if (run !== undefined && options.events === true) throw new InvalidInputError('--run and --events do not go together')
  const both = options.runs === options.events
  const dryRun = options.dryRun === true || (run !== undefined && options.yes !== true)
  const { cleanEvents } = await import('../../shared/replicas/clean-events.ts')
  const { cleanRuns } = await import('../../shared/replicas/clean-runs.ts')
  await withTapeContext(async (context, signal) => {
    const how = { dryRun, tag, now: context.now() }
    const cleansEvents = run === undefined && (both || options.events === true)
    const events = cleansEvents ? await cleanEvents(context, how, signal, context.log) : null
    const runs = both || options.runs === true || run !== undefined ? await cleanRuns(context, { ...how, run }, signal, context.log) : null
    if (options.json === true) printJson({ dryRun, events, runs })
    else {
      if (events !== null) print(eventsText(events, dryRun))
      if (runs !== null) print(runsText(runs, dryRun))
      if (run !== undefined && options.yes !== true) print('nothing was done yet: add --yes')
    }
    const stayed = run !== undefined && runs !== null && runs.deleted.length === 0
    if (stayed || (runs?.failed.length ?? 0) > 0 || (events?.failed ?? 0) > 0) process.exitCode = 1
  })
}

function eventsText(events: CleanedEvents, dryRun: boolean): string {
  const more = [
    ...(events.unrecognised > 0 ? [`${events.unrecognised} objects are not named like events and stay`] : []),
    ...(events.changed > 0 ? [`${events.changed} were written anew meanwhile`] : []),
    ...(events.failed > 0 ? [`${events.failed} could not be deleted`] : []),
    ...(events.finished ? [] : ['interrupted']),
  ]
  const what = `${events.deleted} of ${events.listed} ${dryRun ? 'would be deleted' : 'deleted'}, ${bytes(events.deletedBytes)}`
  return [`events: ${what}`, ...more].join('; ')
}

function runsText(runs: CleanedRuns, dryRun: boolean): string {
  const section = (title: string, files: readonly CleanedFile[]) =>
    files.length === 0
      ? []
      : [
          `${title}\n${table(
            ['run', 'tag', 'key', 'size', 'reason'],
            files.map((file) => [file.runNumber, file.tag, file.key, bytes(file.sizeBytes), file.reason]),
          )}`,
        ]
  const nothing = runs.deleted.length + runs.refused.length + runs.failed.length === 0
  if (nothing && !runs.storeIsFull) return 'runs: none is due, or none that is due is in the store with a copy on tape'
  return [
    `runs: ${runs.deleted.length} ${runs.deleted.length === 1 ? 'file' : 'files'} ${dryRun ? 'would be deleted, once their copies on tape are verified' : 'deleted'}, ${bytes(runs.deletedBytes)}`,
    ...section(dryRun ? 'would go' : 'gone', runs.deleted),
    ...section('stay', runs.refused),
    ...section('failed', runs.failed),
    ...(runs.capReached ? ['more are due than one run of the cleaner deletes (CYGNET_CLEAN_MOST_RUNS)'] : []),
    ...(runs.storeIsFull ? ['the store is above its high-water mark, and nothing more may be deleted'] : []),
  ].join('\n')
}
