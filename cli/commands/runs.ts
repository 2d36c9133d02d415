/** `cygnet runs`: lists runs of the catalogue and shows one. */
import { type Command, Option } from 'commander'
import { type ApiClient, apiClient } from '../api/client.ts'
import { API_HELP, apiOption } from '../api/option.ts'
import { parseRunNumber, tagOption } from '../arguments.ts'
import { print, printJson, printToStderr } from '../output.ts'
import { findRuns, type RunPage, showRun } from '../runs/api-runs.ts'
import { addRunListOptions, type RunListFlags, runListQuery } from '../runs/run-list-query.ts'
import type { RunItem } from '../runs/run-shapes.ts'
import { csvHeader, csvRow, detailsText, runTable } from '../runs/run-text.ts'
import { interruption } from '../settings.ts'

const LS_HELP = `
Examples:
  cygnet runs ls --tag LNGS --range 12000..12100
  cygnet runs ls --since 2024-05-01 --param 'GEM1_V>=440' --tape on-media
  cygnet runs ls --text AmBe --limit 100000 --csv > ambe.csv
${API_HELP}`

interface ListFlags extends RunListFlags {
  readonly api?: string
  readonly json?: boolean
  readonly csv?: boolean
}

interface ShowFlags {
  readonly api?: string
  readonly tag?: string
  readonly all?: boolean
  readonly json?: boolean
}

export function register(program: Command): void {
  const runs = program.command('runs').description('list and show runs of the catalogue')
  addRunListOptions(
    runs.command('ls').description('list runs, by default the highest numbers first (see --sort)'),
  )
    .addOption(new Option('--json', 'one JSON object a line, with all parameters').conflicts('csv'))
    .option('--csv', 'comma-separated values, with all parameters')
    .addOption(apiOption())
    .addHelpText('after', LS_HELP)
    .action(async (flags: ListFlags) => {
      const query = runListQuery(flags, flags.json === true || flags.csv === true)
      const found = findRuns(apiClient(flags.api), query, interruption())
      if (flags.json === true) await write(found, (run) => `${JSON.stringify(run)}\n`)
      else if (flags.csv === true) await write(found, csvRow, csvHeader())
      else await showTable(found)
    })
  runs
    .command('show')
    .description('everything about one run: parameters, files, checksums, requests, history')
    .argument('<run>', 'run number', parseRunNumber)
    .addOption(tagOption())
    .option('--all', 'also earlier generations of the run number')
    .option('--json', 'one JSON object')
    .addOption(apiOption())
    .addHelpText('after', API_HELP)
    .action((runNumber: number, flags: ShowFlags) =>
      show(apiClient(flags.api), runNumber, flags, interruption()),
    )
}

/** Writes page after page, as fast as the reader accepts them. */
async function write(
  found: AsyncIterable<RunPage>,
  line: (run: RunItem) => string,
  header = '',
): Promise<void> {
  let head = header
  for await (const { runs } of found) {
    const text = head + runs.map(line).join('')
    head = ''
    if (!process.stdout.write(text))
      await new Promise<void>((resolve) => process.stdout.once('drain', resolve))
  }
}

async function showTable(found: AsyncIterable<RunPage>): Promise<void> {
  const runs: RunItem[] = []
  let more = false
  for await (const page of found) {
    runs.push(...page.runs)
    more = page.more
  }
  print(runs.length === 0 ? 'no runs' : runTable(runs))
  if (more) printToStderr(`There are more than these ${runs.length}; --limit shows more.`)
}

async function show(
  api: ApiClient,
  runNumber: number,
  { tag, all = false, json }: ShowFlags,
  signal: AbortSignal,
): Promise<void> {
  const { runs, uses } = await showRun(api, { runNumber, tag }, all, signal)
  if (json === true) return void printJson(runs.length === 1 ? runs[0] : runs)
  print(runs.map(detailsText).join('\n\n'))
  if (uses > runs.length)
    print(`\nThis run number has ${uses} generations; --all shows the earlier ones too.`)
}
