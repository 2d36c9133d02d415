/** `cygnet link`: links by which anybody can fetch the files of a run for a while. */
import type { Command } from 'commander'
import type { FileLink } from '../../shared/replicas/run-links.ts'
import { bytes, print, printJson, tell, time } from '../output.ts'
import { withTapeContext } from '../settings.ts'
import { ON_ITS_WAY, parseCount, whoAsks } from './recall.ts'
import { parseRunNumber } from './runs.ts'

interface Flags {
  readonly tag?: string
  readonly seconds?: number
  readonly recall?: boolean
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  cygnet link 12345                       the links on standard output, one a line; what they are on standard error
  curl --fail -OJ "$(cygnet link 12345)"  fetches it under its name
  cygnet link 12345 --recall              asks for it when it is only on tape

Whoever has a link can fetch the file until the link ends; CYGNET_LINK_SECONDS is the longest it lasts.
Exit codes: 0 a link for every file, 3 some file is being brought back from tape, 1 some file is only on tape or not available.`

export function register(program: Command): void {
  program
    .command('link')
    .description('links to the files of a run, looked up in the store')
    .argument('<run>', 'run number', parseRunNumber)
    .option('--tag <tag>', 'when several tags have a run of this number')
    .option('--seconds <seconds>', 'how long they are valid (default: CYGNET_LINK_SECONDS)', parseCount)
    .option('--recall', 'ask for what is only on tape to be brought back')
    .option('--json', 'one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(run)
}

async function run(runNumber: number, flags: Flags): Promise<void> {
  const { runLinks } = await import('../../shared/replicas/run-links.ts')
  await withTapeContext(async (context, signal) => {
    const { CYGNET_LINK_SECONDS: longest, CYGNET_RECALL_DAYS: days } = context.config
    const recall = flags.recall === true ? { days, requestedBy: whoAsks() } : undefined
    const wish = { seconds: flags.seconds ?? longest, recall }
    const links = await runLinks(context, { runNumber, tag: flags.tag }, wish, context.now(), signal)
    if (flags.json === true) printJson({ ...links.run, files: links.files })
    else for (const file of links.files) show(file)
    process.exitCode = exitCode(links.files)
  })
}

function show(file: FileLink): void {
  tell(`${file.fileName}, ${bytes(file.sizeBytes)}, md5 ${file.md5}: ${sentence(file)}`)
  if (file.kind === 'link') print(file.url)
}

function sentence(file: FileLink): string {
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

function exitCode(files: readonly FileLink[]): number {
  if (files.some((file) => file.kind === 'on-tape' || file.kind === 'unavailable')) return 1
  return files.some((file) => file.kind === 'recalling') ? ON_ITS_WAY : 0
}
