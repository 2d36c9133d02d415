/** `cygnet verify`: checks copies now and compares their checksums with the catalogue. */
import { randomUUID } from 'node:crypto'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { VERIFIABLE } from '../../shared/catalogue/replica-states.ts'
import type { Context } from '../../shared/context.ts'
import { type FileWithoutCopy, filesWithoutCopy, stateText } from '../../shared/copies/verify/coverage.ts'
import { filesOfRun } from '../../shared/copies/verify/files-of-run.ts'
import type { VerifySelection } from '../../shared/copies/verify/select.ts'
import type { Verification, VerifySummary } from '../../shared/copies/verify/verify.ts'
import type { Replica } from '../../shared/database/replica-schema.ts'
import { classify, InvalidInputError } from '../../shared/errors.ts'
import { withoutSecrets } from '../../shared/log.ts'
import { findRuns } from '../../shared/queries/runs.ts'
import { parseRunNumber } from '../arguments.ts'
import { auditedCommand } from '../audited.ts'
import { bytes, print, printJson, printToStderr, table } from '../output.ts'
import { withContext } from '../settings.ts'

interface Flags {
  readonly run?: number
  readonly tag?: string
  readonly sample?: number
  readonly seed?: string
  readonly all?: boolean
  readonly dark?: boolean
  readonly quick?: boolean
  readonly stage?: boolean
  readonly json?: boolean
}

const COPY_PROBLEM = 1
const NOT_CHECKED = 3
/** Most copies that are listed one by one; the summary counts all. */
const MOST_REPORTED = 1000

const EXAMPLES = `
Examples:
  cygnet verify --run 12345           every copy of a run, read completely
  cygnet verify --sample 1%           a random hundredth of all copies
  cygnet verify --all --quick         every copy, by the digests that the store and the tape endpoint state
  cygnet verify --run 12345 --stage   the same; what is on tape only is brought to disk first
  cygnet verify --dark                files in the store and on tape that are not in the catalogue, and copies that are not listed

In the buckets --dark counts only objects with the name of a run, outside CYGNET_IGNORED_PREFIXES, written more than an hour ago
(the cataloguing of younger ones may be in progress); at the tape endpoint it counts every file.

A copy is verified, missing, suspicious (other bytes than the run's), unknown (it could not be checked now) or unproven (it is on
tape only, and the endpoint states no checksum: --stage brings it to disk, which may take hours). What reading found wrong stays
suspicious until it is read again: --quick does not clear it. The results are recorded and alerts are raised; nothing is deleted.
Exit codes: 0 everything was verified, 1 something is missing, suspicious or dark, 3 something could not be checked. With --run, 0
also means that each file of the run has a verified copy in the store (or was deleted there by the cleaner) and one on tape; else 3.`

export function register(program: Command): void {
  program
    .command('verify')
    .description('check copies now and compare their checksums with the catalogue')
    .option('--run <number>', 'every copy of this run', parseRunNumber)
    .addOption(new Option('--tag <tag>', 'with --run: only of this tag'))
    .option('--sample <share>', 'a random share of all copies, e.g. 1%', parseShare)
    .option('--seed <text>', 'with --sample: the same text chooses the same copies again')
    .option('--all', 'every copy')
    .option(
      '--dark',
      'list the raw buckets and the tape endpoint, and report files that are not in the catalogue',
    )
    .option(
      '--quick',
      'trust the digests that the store and the tape endpoint state; read only where none is stated',
    )
    .option('--stage', 'with --run: bring copies that are only on tape to disk and read them back')
    .option('--json', 'one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: Flags, command: Command) => {
      const selection = selectionOf(flags, command)
      await withContext(['database', 'queues', 's3', 'publicS3', 'tape'], async (context, signal) => {
        const outcome = await auditedCommand(
          context,
          'operate',
          `verify ${objectOf(selection, flags)}`,
          () =>
            selection === 'dark'
              ? verifyListings(context, flags, signal)
              : verify(context, selection, flags, signal),
          (code) => OUTCOMES[code] ?? 'done',
        )
        if (outcome !== 0) process.exitCode = outcome
      })
    })
}

/** For the audit: verifying records what it finds, and --stage brings files from tape. */
function objectOf(selection: VerifySelection | 'dark', { quick, stage }: Flags): string {
  const how = stage === true ? ', staged from tape' : quick === true ? ', by stated checksums' : ''
  if (selection === 'dark') return 'the listings of all places'
  if ('run' in selection)
    return `the copies of run ${selection.run}${selection.tag === undefined ? '' : ` of ${selection.tag}`}${how}`
  return `${'sample' in selection ? `a sample (${selection.sample}) of` : 'all'} copies${how}`
}

const OUTCOMES: Readonly<Record<number, string>> = {
  0: 'everything is verified',
  [COPY_PROBLEM]: 'something is missing, suspicious or dark',
  [NOT_CHECKED]: 'something could not be checked',
}

function parseShare(text: string): number {
  const [, number = '', percent] = /^(\d+(?:\.\d+)?|\.\d+)\s*(%?)$/.exec(text.trim()) ?? []
  const share = Number(number) / (percent === '%' ? 100 : 1)
  if (number === '' || share <= 0 || share > 1)
    throw new InvalidArgumentError('A share such as 1% or 0.01 is expected.')
  return share
}

function selectionOf(
  { run, tag, sample, seed, all, dark, stage, quick }: Flags,
  command: Command,
): VerifySelection | 'dark' {
  const usage = (message: string) => command.error(`error: ${message}`, { exitCode: 2 })
  const given = [run, sample, all, dark].filter((selection) => selection !== undefined)
  if (given.length !== 1) return usage('give one of --run, --sample, --all and --dark')
  if (tag !== undefined && run === undefined) return usage('--tag belongs to --run')
  if (stage === true && (run === undefined || quick === true))
    return usage('--stage belongs to --run, without --quick')
  if (seed !== undefined && sample === undefined) return usage('--seed belongs to --sample')
  if (run !== undefined) return { run, tag }
  if (sample !== undefined) return { sample, seed: seed ?? randomUUID().slice(0, 8) }
  return all === true ? { all } : 'dark'
}

/** Verifies the selected copies, prints the result and returns the exit code. */
async function verify(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  selection: VerifySelection,
  flags: Flags,
  signal: AbortSignal,
): Promise<number> {
  const { verifyRuns } = await import('../../shared/copies/verify/verify.ts')
  if ('run' in selection) await assertCatalogued(context, selection)
  if ('sample' in selection && flags.json !== true)
    printToStderr(`random sample; --seed ${selection.seed} chooses the same copies again`)
  const reported: Verification[] = []
  const verified = new Set<number>()
  let count = 0
  const progress = showProgress(flags)
  const readBack = flags.quick === true ? 'if-needed' : 'always'
  const options = { readBack, ...(flags.stage === true ? { stage: {} } : {}) } as const
  const summary = await verifyRuns(context, selection, options, signal, (result) => {
    count += 1
    progress(`${count} copies checked`)
    if ('run' in selection && result.outcome === 'verified') verified.add(result.replica.id)
    if (reported.length < MOST_REPORTED && ('run' in selection || result.outcome !== 'verified'))
      reported.push(result)
  })
  progress(null)
  reported.sort((a, b) => a.replica.runNumber - b.replica.runNumber || a.replica.id - b.replica.id)
  const rest = 'run' in selection ? await notVerified(context, selection, reported, verified) : NOTHING_ELSE
  if (flags.json === true)
    printJson({
      ...selection,
      summary,
      copies: reported.map(copyJson),
      ...('run' in selection ? restJson(rest) : {}),
    })
  else {
    if (reported.length + rest.others.length > 0) print(copyTable(reported, rest.others))
    print(summaryText(summary))
    for (const { key, why } of rest.missing.slice(0, MOST_REPORTED)) print(`${key}: ${why.join('; ')}`)
  }
  if (summary.missing + summary.suspicious > 0) return COPY_PROBLEM
  return summary.unknown + summary.unproven > 0 ||
    rest.missing.length > 0 ||
    ('run' in selection && summary.checked === 0)
    ? NOT_CHECKED
    : 0
}

type RunSelection = Extract<VerifySelection, { readonly run: number }>

async function assertCatalogued(
  { database }: Context<'database'>,
  { run, tag }: RunSelection,
): Promise<void> {
  if ((await findRuns(database, { runNumber: run, tag })).length > 0) return
  const named = `run ${run}${tag === undefined ? '' : ` of ${tag}`}`
  throw new InvalidInputError(
    `${named} is not in the catalogue; \`cygnet runs show ${run}\` shows what is known about it`,
  )
}

interface NotVerified {
  /** Copies of the run in states in which they cannot be checked. */
  readonly others: readonly Replica[]
  readonly missing: readonly FileWithoutCopy[]
}

const NOTHING_ELSE: NotVerified = { others: [], missing: [] }

/** The copies of a run that were not checked, and the verified copies that are missing. */
async function notVerified(
  { database }: Context<'database'>,
  selection: RunSelection,
  reported: readonly Verification[],
  verified: ReadonlySet<number>,
): Promise<NotVerified> {
  const { files, copies } = await filesOfRun(database, selection)
  const checkedIds = new Set(reported.map(({ replica }) => replica.id))
  const isNotVerifiable = ({ kind, state }: Replica) => kind === 'local' || !VERIFIABLE.includes(state)
  const others = copies.filter((copy) => !checkedIds.has(copy.id) && isNotVerifiable(copy))
  return { others: others.slice(0, MOST_REPORTED), missing: filesWithoutCopy(files, verified) }
}

const restJson = ({ others, missing }: NotVerified) => ({
  notLookedAt: others.map((copy) => ({ ...whichCopy(copy), state: copy.state, detail: stateText(copy) })),
  lacking: missing,
})

async function verifyListings(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  flags: Flags,
  signal: AbortSignal,
): Promise<number> {
  const { findDark } = await import('../../shared/copies/verify/dark/dark.ts')
  const unlisted: Verification[] = []
  const reports = []
  const onUnlisted = (result: Verification) => {
    if (result.outcome !== 'verified' && result.outcome !== 'unknown' && unlisted.length < MOST_REPORTED)
      unlisted.push(result)
  }
  let failed = false
  for (const place of [
    ...context.config.store.rawBuckets.map((bucket) => ({ bucket })),
    { tape: true } as const,
  ]) {
    const name = 'bucket' in place ? `s3://${place.bucket}` : (context.tape?.endpoint ?? 'tape')
    try {
      const report = await findDark(context, place, { onUnlisted }, signal, context.log)
      if (report === null)
        printToStderr(
          context.tape === null ? 'no tape endpoint is configured' : `${name} cannot list what it holds`,
        )
      else reports.push(report)
    } catch (error) {
      signal.throwIfAborted()
      failed = true
      printToStderr(`${name}: ${withoutSecrets(classify(error).message)}`)
    }
  }
  if (flags.json === true) printJson({ places: reports, copies: unlisted.map(copyJson) })
  else {
    const rows = reports.map((report) => [
      report.endpoint,
      report.listed,
      report.dark,
      bytes(report.darkBytes),
      report.examples.join(', '),
    ])
    print(table(['place', 'files', 'dark', 'size', 'e.g.'], rows))
    if (unlisted.length > 0) print(`\n${copyTable(unlisted)}`)
  }
  if (unlisted.length > 0 || reports.some(({ dark }) => dark > 0)) return COPY_PROBLEM
  return failed ? NOT_CHECKED : 0
}

/** A progress line on standard error, on a terminal only; null clears it. */
function showProgress({ json }: Flags): (text: string | null) => void {
  if (json === true || !process.stderr.isTTY) return () => {}
  return (text) => process.stderr.write(text === null ? '\r\x1b[K' : `\r\x1b[K${text}`)
}

function summaryText(summary: VerifySummary): string {
  const { checked, verified, missing, suspicious, unknown, unproven, bytes: read } = summary
  const rest = unproven === 0 ? '' : `, ${unproven} unproven`
  return `${checked} ${checked === 1 ? 'copy' : 'copies'} checked, ${bytes(read)} read: ${verified} verified, ${missing} missing, ${suspicious} suspicious, ${unknown} unknown${rest}`
}

const copyTable = (results: readonly Verification[], others: readonly Replica[] = []) =>
  table(
    ['run', 'tag', 'copy', 'state', ''],
    [
      ...results.map(({ replica, outcome, detail }) => [
        replica.runNumber,
        replica.tag,
        replica.url,
        outcome,
        detail,
      ]),
      ...others.map((copy) => [copy.runNumber, copy.tag, copy.url, copy.state, stateText(copy)]),
    ],
  )

const whichCopy = ({ runNumber, tag, kind, url }: Replica) => ({ runNumber, tag, kind, url })

const copyJson = ({ replica, outcome, detail }: Verification) => ({
  ...whichCopy(replica),
  outcome,
  detail,
  verifiedBefore: replica.verifiedAt,
})
