/** `cygnet runs`: what the catalogue knows. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Database } from '../../shared/catalogue/database.ts'
import { describeRun, findArrivalsOfRun, findRuns, listRuns } from '../../shared/catalogue/queries.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { print, printJson, time } from '../output.ts'
import { detailsJson, detailsText, runJson, runTable } from '../run-text.ts'
import { withContext } from '../settings.ts'

export function register(program: Command): void {
  const runs = program.command('runs').description('what the catalogue knows of runs')
  runs
    .command('ls')
    .description('list runs, the highest numbers first')
    .option('--tag <tag>', 'only this tag, e.g. LNGS')
    .option('--range <from..to>', 'only run numbers in this range, both ends included', parseRange)
    .option('--incomplete', 'only runs that are not complete')
    .option('--pedestal', 'only pedestal runs')
    .addOption(new Option('--limit <count>', 'at most this many').default(50).argParser(parseRunNumber))
    .option('--json', 'one JSON object a line')
    .addHelpText('after', '\nExample: cygnet runs ls --tag LNGS --range 12000..12100')
    .action(async (options) => {
      const found = await withContext((context) => listRuns(context.database, { ...options, ...options.range }))
      if (options.json === true) for (const run of found) print(JSON.stringify(runJson(run)))
      else print(found.length === 0 ? 'no runs' : runTable(found))
    })
  runs
    .command('show')
    .description('everything about one run: parameters, files, checksums, requests, history')
    .argument('<run>', 'run number', parseRunNumber)
    .option('--tag <tag>', 'when several tags have a run of this number')
    .option('--all', 'also earlier uses of the same run number')
    .option('--json', 'one JSON object')
    .action(async (runNumber: number, options: { tag?: string; all?: boolean; json?: boolean }) => {
      await withContext(async ({ database }) => {
        const uses = await findRuns(database, { runNumber, tag: options.tag })
        const chosen = options.all === true ? uses : uses.filter((run) => run.is_current === 1)
        if (chosen.length === 0) throw await notCatalogued(database, { runNumber, tag: options.tag })
        const details = await Promise.all(chosen.map((run) => describeRun(database, run)))
        if (options.json === true) printJson(details.length === 1 ? details.map(detailsJson)[0] : details.map(detailsJson))
        else print(details.map(detailsText).join('\n\n'))
        if (options.json !== true && options.all !== true && uses.length > chosen.length)
          print(`\nThis number was used ${uses.length} times; --all shows the others too.`)
      })
    })
}

/** Says what the ledger knows of a run that is not in the catalogue, and what to do. */
async function notCatalogued(
  database: Database,
  run: { readonly runNumber: number; readonly tag: string | undefined },
): Promise<InvalidInputError> {
  const arrivals = await findArrivalsOfRun(database, run)
  const named = `run ${run.runNumber}${run.tag === undefined ? '' : ` of ${run.tag}`} is not in the catalogue`
  if (arrivals.length === 0)
    return new InvalidInputError(
      `${named}, and the ledger has never heard of it; \`cygnet reconcile\` looks for it in the store, docs/runbook.md says where else`,
    )
  const lines = arrivals.map((arrival) => {
    const tries = arrival.attempts === 1 ? '1 try' : `${arrival.attempts} tries`
    return `  ${arrival.bucket}/${arrival.object_key}: ${arrival.state} since ${time(arrival.finished_at ?? arrival.received_at)} UTC after ${tries}${arrival.reason === null ? '' : `: ${arrival.reason}`}`
  })
  return new InvalidInputError(
    `${named}, but the ledger knows of it:\n${lines.join('\n')}\n\`cygnet logs --run ${run.runNumber}\` tells more, \`cygnet replay --run ${run.runNumber}\` tries again`,
  )
}

export function parseRunNumber(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw new InvalidArgumentError('a whole number is expected.')
  return value
}

function parseRange(text: string): { from: number; to: number } {
  const [from = '', to = '', ...more] = text.split('..')
  if (from === '' || to === '' || more.length > 0) throw new InvalidArgumentError('expected FROM..TO, e.g. 12000..12100.')
  return { from: parseRunNumber(from), to: parseRunNumber(to) }
}
