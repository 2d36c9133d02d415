/** `cygnet link`: prints presigned links to the files of a run. */
import type { Command } from 'commander'
import { apiClient } from '../api/client.ts'
import { API_HELP, apiOption } from '../api/option.ts'
import { parseRunNumber, tagOption, wholeNumber } from '../arguments.ts'
import { createApiLinks } from '../get/api-links.ts'
import { chooseRun } from '../get/choose-runs.ts'
import type { OfferedFile } from '../get/link-source.ts'
import { bytes, print, printJson, printToStderr, time } from '../output.ts'
import { interruption } from '../settings.ts'
import { RECALL_IN_PROGRESS } from './recall.ts'

interface Flags {
  readonly api?: string
  readonly tag?: string
  readonly seconds?: number
  readonly recall?: boolean
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  cygnet link 12345                       the links on standard output, one a line; their descriptions on standard error
  curl --fail -OJ "$(cygnet link 12345)"  fetches the file under its name
  cygnet link 12345 --recall              requests a recall when the run is only on tape

Anyone who has a link can fetch the file until the link expires, at most CYGNET_LINK_SECONDS of the service later.
${API_HELP}

Exit codes: 0 a link for every file, 3 a file is being brought back from tape, 1 a file is only on tape or not available.`

export function register(program: Command): void {
  program
    .command('link')
    .description('print links to the files of a run, after checking that they are in the store')
    .argument('<run>', 'run number', parseRunNumber)
    .addOption(tagOption())
    .option('--seconds <seconds>', 'lifetime of the links (default: CYGNET_LINK_SECONDS)', wholeNumber(1))
    .option('--recall', 'bring back files that are only on tape')
    .option('--json', 'one JSON object')
    .addOption(apiOption())
    .addHelpText('after', EXAMPLES)
    .action(run)
}

async function run(runNumber: number, flags: Flags): Promise<void> {
  const source = createApiLinks(apiClient(flags.api))
  const signal = interruption()
  const chosen = await chooseRun(source, runNumber, flags.tag, signal)
  const files = await source.linksOf(chosen, signal, { seconds: flags.seconds, recall: flags.recall })
  if (flags.json === true) printJson({ ...chosen, files })
  else for (const file of files) show(file)
  process.exitCode = exitCode(files)
}

function show(file: OfferedFile): void {
  printToStderr(`${file.fileName}, ${bytes(file.sizeBytes)}, md5 ${file.md5}: ${sentence(file)}`)
  if (file.warning !== null) printToStderr(`warning: ${file.fileName} ${file.warning}`)
  if (file.kind === 'link') print(file.url)
}

function sentence(file: OfferedFile): string {
  switch (file.kind) {
    case 'link':
      return `valid until ${time(file.expiresAt)} UTC`
    case 'recalling':
      return `recalling since ${time(file.requestedAt)} UTC (${file.state}${file.detail === null ? '' : `: ${file.detail}`})`
    case 'on-tape':
      return `${file.how}: add --recall`
    case 'unavailable':
      return file.why
  }
}

function exitCode(files: readonly OfferedFile[]): number {
  if (files.some((file) => file.kind === 'on-tape' || file.kind === 'unavailable')) return 1
  return files.some((file) => file.kind === 'recalling') ? RECALL_IN_PROGRESS : 0
}
