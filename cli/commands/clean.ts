/** `cygnet clean`: what the cleaner does by its schedule, on demand; and one run by name. */
import type { Command } from 'commander'
import type { Context } from '../../shared/context.ts'
import type { FileOfRun } from '../../shared/copies/verify/files-of-run.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { isTag } from '../../shared/run.ts'
import { parseRunNumber } from '../arguments.ts'
import { print, printJson } from '../output.ts'
import { withContext } from '../settings.ts'

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
CYGNET_CLOUD_CAPACITY_BYTES only those leave that were brought back from tape, when their time is over. What came within the last
day stays. Shown are the policy in force, and why the oldest files that are in the store stay there.

--run N deletes the files of one run whatever its age, and whether or not a policy is configured; every other rule holds (verified
copy on tape, no recall, no checksum that disagrees, no protected prefix). It does nothing without --yes. Shown is where each file
is, and why it stays; the exit code is 1 when one stays.

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
  if (run !== undefined && options.events === true)
    throw new InvalidInputError('--run and --events do not go together')
  const both = options.runs === options.events
  const dryRun = options.dryRun === true || (run !== undefined && options.yes !== true)
  const { cleanEvents } = await import('../../shared/copies/clean/clean-events.ts')
  const { cleanRuns } = await import('../../shared/copies/clean/clean-runs.ts')
  const { filesOfRun } = await import('../../shared/copies/verify/files-of-run.ts')
  const { eventsText, namedText, runsText, whyText } = await import('../clean/text.ts')
  await withContext(['database', 'queues', 's3', 'publicS3', 'tape'], async (context, signal) => {
    const how = { dryRun, tag, now: context.now() }
    const cleansEvents = run === undefined && (both || options.events === true)
    const cleansRuns = run !== undefined || both || options.runs === true
    const events = cleansEvents ? await cleanEvents(context, how, signal, context.log) : null
    const runs = cleansRuns ? await cleanRuns(context, { ...how, run }, signal, context.log) : null
    const named = run === undefined ? null : (await filesOfRun(context.database, { run, tag })).files
    const why = cleansRuns && run === undefined ? await whatStays(context, how) : null
    if (options.json === true)
      printJson({ dryRun, events, runs, ...why, ...(named === null ? {} : { files: named.map(fileJson) }) })
    else {
      if (events !== null) print(eventsText(events, dryRun))
      if (runs !== null) print(named === null ? runsText(runs, dryRun) : namedText(named, runs, dryRun))
      if (why !== null) print(`\n${whyText(why.policy, why.stay)}`)
      if (run !== undefined && options.yes !== true) print('nothing was done yet: add --yes')
    }
    const stayed =
      named !== null && (runs?.refused.length !== 0 || !(runs.deleted.length > 0 || named.every(hasLeft)))
    if (stayed || (runs?.failed.length ?? 0) > 0 || (events?.failed ?? 0) > 0) process.exitCode = 1
  })
}

async function whatStays(
  context: Context<'database' | 'tape'>,
  how: { readonly tag: string | undefined; readonly now: Date },
) {
  const { cleanPolicy } = await import('../../shared/copies/clean/clean-policy.ts')
  const { explainKeptFiles } = await import('../../shared/copies/clean/clean-reasons.ts')
  const policy = await cleanPolicy(context)
  return { policy, stay: await explainKeptFiles(context, policy, how) }
}

const hasLeft = ({ copies }: FileOfRun) =>
  copies.some(({ kind, state }) => kind === 'cloud' && state === 'deleted')

const fileJson = ({ tag, runNumber, file, copies }: FileOfRun) => ({
  tag,
  runNumber,
  key: file.objectKey,
  copies: copies.map(({ kind, url, state, verifiedAt, lastError: error }) => ({
    kind,
    url,
    state,
    verifiedAt,
    error,
  })),
})
