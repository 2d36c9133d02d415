/** `cygnet clean`: runs the cleaner once, or deletes one run from the store. */

import type { Command } from 'commander'
import type { Context } from '../../shared/context.ts'
import type { FileOfRun } from '../../shared/copies/verify/files-of-run.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { isTag } from '../../shared/run.ts'
import { parseRunNumber } from '../arguments.ts'
import { auditedCommand } from '../audited.ts'
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
Without --runs or --events both are cleaned, as by the schedule. A run is deleted from the store only after its copy on tape has
been verified in the same moment; a tombstone remains, and \`cygnet recall\` brings the run back. Without CYGNET_CLEAN_RUNS_AFTER_DAYS
and CYGNET_CLOUD_CAPACITY_BYTES only recalled runs are deleted, when their time is over. Files that arrived within the last day are
kept. The command prints the policy in force, and why the oldest files in the store are kept.

--run N deletes the files of one run whatever its age, and whether or not a policy is configured; all other rules hold (verified
copy on tape, no recall, no checksum that disagrees, no protected prefix). It does nothing without --yes. The command prints where
each file is and why it is kept; the exit code is 1 when a file is kept.

Examples:
  cygnet clean --dry-run
  cygnet clean --events --tag LNGS
  cygnet clean --run 12345 --tag LNGS --yes`

export function register(program: Command): void {
  program
    .command('clean')
    .description('delete old single events from the buffer, and runs that are safe on tape from the store')
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
    throw new InvalidInputError('--run and --events exclude each other')
  const both = options.runs === options.events
  const dryRun = options.dryRun === true || (run !== undefined && options.yes !== true)
  const cleansEvents = run === undefined && (both || options.events === true)
  const cleansRuns = run !== undefined || both || options.runs === true
  const { cleanEvents } = await import('../../shared/copies/clean/clean-events.ts')
  const { cleanRuns } = await import('../../shared/copies/clean/clean-runs.ts')
  const { filesOfRun } = await import('../../shared/copies/verify/files-of-run.ts')
  const { unknownTag } = await import('../../shared/queries/known-tags.ts')
  const { eventsText, runText, runsText, keptFilesText } = await import('../clean/text.ts')
  await withContext(['database', 'queues', 's3', 'publicS3', 'tape'], async (context, signal) => {
    const unknown = tag === undefined || !cleansRuns ? null : await unknownTag(context.database, [tag])
    if (unknown !== null) throw new InvalidInputError(unknown)
    const scope = { dryRun, tag, now: context.now() }
    const cleanBoth = async () => ({
      events: cleansEvents ? await cleanEvents(context, scope, signal, context.log) : null,
      runs: cleansRuns ? await cleanRuns(context, { ...scope, run }, signal, context.log) : null,
    })
    const object = [cleansEvents && 'events', cleansRuns && 'runs', tag && `of ${tag}`, run && `run ${run}`]
    const { events, runs } = dryRun
      ? await cleanBoth()
      : await auditedCommand(
          context,
          'clean',
          object.filter(Boolean).join(' '),
          cleanBoth,
          (cleaned) =>
            `deleted: ${cleaned.events?.deleted ?? 0} events, ${cleaned.runs?.deleted.length ?? 0} files of runs`,
        )
    const named = run === undefined ? null : (await filesOfRun(context.database, { run, tag })).files
    const kept = cleansRuns && run === undefined ? await keptFiles(context, scope) : null
    if (options.json === true)
      printJson({ dryRun, events, runs, ...kept, ...(named === null ? {} : { files: named.map(fileJson) }) })
    else {
      if (events !== null) print(eventsText(events, dryRun))
      if (runs !== null) print(named === null ? runsText(runs, dryRun) : runText(named, runs, dryRun))
      if (kept !== null) print(`\n${keptFilesText(kept.policy, kept.stay)}`)
      if (run !== undefined && options.yes !== true) print('nothing was deleted: add --yes')
    }
    const stayed =
      named !== null && (runs?.refused.length !== 0 || !(runs.deleted.length > 0 || named.every(hasLeft)))
    if (stayed || (runs?.failed.length ?? 0) > 0 || (events?.failed ?? 0) > 0) process.exitCode = 1
  })
}

async function keptFiles(
  context: Context<'database' | 'tape'>,
  scope: { readonly tag: string | undefined; readonly now: Date },
) {
  const { cleanPolicy } = await import('../../shared/copies/clean/clean-policy.ts')
  const { explainKeptFiles } = await import('../../shared/copies/clean/clean-reasons.ts')
  const policy = await cleanPolicy(context)
  return { policy, stay: await explainKeptFiles(context, policy, scope) }
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
