/** `cygnet verify`: copies are looked at now, and their checksums compared with the catalogue's. */
import { randomUUID } from 'node:crypto'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { findRuns } from '../../shared/catalogue/queries.ts'
import { replicasOfRun } from '../../shared/catalogue/replicas.ts'
import { classify, InvalidInputError } from '../../shared/errors.ts'
import { withoutSecrets } from '../../shared/log.ts'
import type { VerifySelection } from '../../shared/replicas/verify/select.ts'
import type { Verification, VerifySummary } from '../../shared/replicas/verify.ts'
import type { TapeContext } from '../../shared/runtime/context.ts'
import { parseRunNumber } from '../arguments.ts'
import { bytes, print, printJson, table, tell } from '../output.ts'
import { withTapeContext } from '../settings.ts'

interface Flags {
  readonly run?: number
  readonly tag?: string
  readonly sample?: number
  readonly seed?: string
  readonly all?: boolean
  readonly dark?: boolean
  readonly quick?: boolean
  readonly json?: boolean
}

const NOT_RIGHT = 1
const NOT_KNOWN = 3
/** Copies told of one by one; of more only the number. */
const MOST_TOLD = 1000

const EXAMPLES = `
Examples:
  cygnet verify --run 12345           every copy of a run, read whole
  cygnet verify --sample 1%           a hundredth of all copies, chosen by lot
  cygnet verify --all --quick         every copy, by the digests that the store and the tape endpoint state
  cygnet verify --dark                what they hold and the catalogue does not know, and what is not listed any more

A copy is missing, suspicious (other bytes than the run's) or could not be checked now (unknown). What is seen is written
down and told as alerts; nothing is ever deleted.
Exit codes: 0 everything was verified, 1 something is missing, suspicious or dark, 3 something could not be checked.`

export function register(program: Command): void {
  program
    .command('verify')
    .description('look at copies now and compare their checksums with the catalogue')
    .option('--run <number>', 'every copy of this run', parseRunNumber)
    .addOption(new Option('--tag <tag>', 'with --run: only of this tag'))
    .option('--sample <share>', 'a share of all copies chosen by lot, e.g. 1%', parseShare)
    .option('--seed <text>', 'with --sample: the same text chooses the same copies again')
    .option('--all', 'every copy')
    .option('--dark', 'go through the raw buckets and the tape endpoint for what the catalogue does not know')
    .option('--quick', 'trust the digests that the store and the tape endpoint state; read only where none is stated')
    .option('--json', 'one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: Flags, command: Command) => {
      const selection = selectionOf(flags, command)
      await withTapeContext(async (context, signal) => {
        const outcome = selection === 'dark' ? await goThrough(context, flags, signal) : await verify(context, selection, flags, signal)
        if (outcome !== 0) process.exitCode = outcome
      })
    })
}

function parseShare(text: string): number {
  const [, number = '', percent] = /^(\d+(?:\.\d+)?|\.\d+)\s*(%?)$/.exec(text.trim()) ?? []
  const share = Number(number) / (percent === '%' ? 100 : 1)
  if (number === '' || share <= 0 || share > 1) throw new InvalidArgumentError('expected a share such as 1% or 0.01.')
  return share
}

function selectionOf({ run, tag, sample, seed, all, dark }: Flags, command: Command): VerifySelection | 'dark' {
  const usage = (message: string) => command.error(`error: ${message}`, { exitCode: 2 })
  const given = [run, sample, all, dark].filter((selection) => selection !== undefined)
  if (given.length !== 1) return usage('give one of --run, --sample, --all and --dark')
  if (tag !== undefined && run === undefined) return usage('--tag belongs to --run')
  if (seed !== undefined && sample === undefined) return usage('--seed belongs to --sample')
  if (run !== undefined) return { run, tag }
  if (sample !== undefined) return { sample, seed: seed ?? randomUUID().slice(0, 8) }
  return all === true ? { all } : 'dark'
}

/** The log says to functions what the results say to people; of it only failures are shown. */
async function verify(context: TapeContext, selection: VerifySelection, flags: Flags, signal: AbortSignal): Promise<number> {
  const { verifyRuns } = await import('../../shared/replicas/verify.ts')
  if ('run' in selection) await assertCatalogued(context, selection)
  if ('sample' in selection && flags.json !== true) tell(`chosen by lot; --seed ${selection.seed} chooses the same copies again`)
  const told: Verification[] = []
  let count = 0
  const progress = showProgress(flags)
  const readBack = flags.quick === true ? 'if-needed' : 'always'
  const summary = await verifyRuns(context, selection, { readBack }, signal, (result) => {
    count += 1
    progress(`${count} copies looked at`)
    if (told.length < MOST_TOLD && ('run' in selection || result.outcome !== 'verified')) told.push(result)
  })
  progress(null)
  told.sort((a, b) => a.replica.run_number - b.replica.run_number || a.replica.id - b.replica.id)
  if (flags.json === true) printJson({ ...selection, summary, copies: told.map(copyJson) })
  else {
    if (told.length > 0) print(copyTable(told))
    if ('run' in selection && summary.checked === 0) tell(await whyNone(context, selection))
    print(summaryText(summary))
  }
  if (summary.missing + summary.suspicious > 0) return NOT_RIGHT
  return summary.unknown > 0 || ('run' in selection && summary.checked === 0) ? NOT_KNOWN : 0
}

type RunSelection = Extract<VerifySelection, { readonly run: number }>

async function assertCatalogued({ database }: TapeContext, { run, tag }: RunSelection): Promise<void> {
  if ((await findRuns(database, { runNumber: run, tag })).length > 0) return
  const named = `run ${run}${tag === undefined ? '' : ` of ${tag}`}`
  throw new InvalidInputError(`${named} is not in the catalogue; \`cygnet runs show ${run}\` says what is known of it`)
}

async function whyNone({ database }: TapeContext, { run, tag }: RunSelection): Promise<string> {
  const uses = await findRuns(database, { runNumber: run, tag })
  const replicas = (await Promise.all(uses.map(({ id }) => replicasOfRun(database, id)))).flat()
  const states = replicas.map(({ url, state }) => `${url} is ${state}`)
  return `no copy of the run can be verified now: ${states.length === 0 ? 'none is known' : states.join(', ')}`
}

async function goThrough(context: TapeContext, flags: Flags, signal: AbortSignal): Promise<number> {
  const { findDark } = await import('../../shared/replicas/dark.ts')
  const vanished: Verification[] = []
  const reports = []
  const onUnlisted = (result: Verification) => {
    if (result.outcome !== 'verified' && result.outcome !== 'unknown' && vanished.length < MOST_TOLD) vanished.push(result)
  }
  let failed = false
  for (const place of [...context.config.CYGNET_RAW_BUCKETS.map((bucket) => ({ bucket })), { tape: true } as const]) {
    const name = 'bucket' in place ? `s3://${place.bucket}` : (context.tape?.endpoint ?? 'tape')
    try {
      const report = await findDark(context, place, { onUnlisted }, signal, context.log)
      if (report === null) tell(context.tape === null ? 'no tape endpoint is configured' : `${name} cannot list what it holds`)
      else reports.push(report)
    } catch (error) {
      signal.throwIfAborted()
      failed = true
      tell(`${name}: ${withoutSecrets(classify(error).message)}`)
    }
  }
  if (flags.json === true) printJson({ places: reports, copies: vanished.map(copyJson) })
  else {
    const rows = reports.map((report) => [report.endpoint, report.listed, report.dark, bytes(report.darkBytes), report.examples.join(', ')])
    print(table(['place', 'files', 'dark', 'size', 'e.g.'], rows))
    if (vanished.length > 0) print(`\n${copyTable(vanished)}`)
  }
  if (vanished.length > 0 || reports.some(({ dark }) => dark > 0)) return NOT_RIGHT
  return failed ? NOT_KNOWN : 0
}

/** One line on standard error that is written over again, where somebody looks at it; null ends it. */
function showProgress({ json }: Flags): (text: string | null) => void {
  if (json === true || !process.stderr.isTTY) return () => {}
  return (text) => process.stderr.write(text === null ? '\r\x1b[K' : `\r\x1b[K${text}`)
}

const summaryText = ({ checked, verified, missing, suspicious, unknown, bytes: read }: VerifySummary) =>
  `${checked} ${checked === 1 ? 'copy' : 'copies'} looked at, ${bytes(read)} read: ${verified} verified, ${missing} missing, ${suspicious} suspicious, ${unknown} unknown`

const copyTable = (results: readonly Verification[]) =>
  table(
    ['run', 'tag', 'copy', 'is', ''],
    results.map(({ replica, outcome, detail }) => [replica.run_number, replica.tag, replica.url, outcome, detail]),
  )

const copyJson = ({ replica, outcome, detail }: Verification) => ({
  runNumber: replica.run_number,
  tag: replica.tag,
  kind: replica.kind,
  url: replica.url,
  outcome,
  detail,
  verifiedBefore: replica.verified_at,
})
