/**
 * The `cygnet` command. Each subcommand is one file of cli/commands; heavy modules are imported when a
 * command runs.
 */
import { Command, CommanderError } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { processEnvironment } from '../shared/config/config.ts'
import { CygnetError, classify, type Failure } from '../shared/errors.ts'
import { withoutSecrets } from '../shared/log.ts'
import * as adopt from './commands/adopt.ts'
import * as clean from './commands/clean.ts'
import * as config from './commands/config.ts'
import * as dead from './commands/dead.ts'
import * as demo from './commands/demo.ts'
import * as doctor from './commands/doctor.ts'
import * as get from './commands/get.ts'
import * as inspect from './commands/inspect.ts'
import * as link from './commands/link.ts'
import * as login from './commands/login.ts'
import * as logs from './commands/logs.ts'
import * as migrate from './commands/migrate.ts'
import * as notifications from './commands/notifications.ts'
import * as push from './commands/push.ts'
import * as recall from './commands/recall.ts'
import * as reconcile from './commands/reconcile.ts'
import * as replay from './commands/replay.ts'
import * as runs from './commands/runs.ts'
import * as simulate from './commands/simulate.ts'
import * as token from './commands/token.ts'
import * as up from './commands/up.ts'
import * as verify from './commands/verify.ts'
import { printToStderr } from './output.ts'

const USAGE_ERROR = 2

/** The command with all its subcommands; also read to generate docs/cli.md. */
export function createProgram(): Command {
  const program = new Command('cygnet')
    .description(
      "The CYGNO experiment's data middleware: runs dropped into S3 become catalogued, copied and reconstructed.",
    )
    .version(manifest.version, '--version', 'print the version')
    .showHelpAfterError('(see --help)')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failed (the reason is printed), 2 wrong command line, 3 not finished yet, or the answer is unknown.',
    )
    .exitOverride()
  for (const command of [
    up,
    demo,
    simulate,
    inspect,
    push,
    runs,
    get,
    link,
    recall,
    verify,
    clean,
    replay,
    dead,
    reconcile,
    adopt,
    logs,
    notifications,
    login,
    migrate,
    token,
    doctor,
    config,
  ])
    command.register(program)
  for (const command of program.commands) inherit(command)
  return program
}

function inherit(command: Command): void {
  command.exitOverride().showHelpAfterError('(see --help)')
  for (const subcommand of command.commands) inherit(subcommand)
}

/** A closed pipe (`cygnet runs ls | head`) is not an error. */
function exitOnClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
}

async function main(): Promise<void> {
  exitOnClosedPipe()
  try {
    await createProgram().parseAsync()
  } catch (error) {
    process.exitCode = exitCodeOf(error)
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_ERROR
  const failure = classify(error)
  printToStderr(`cygnet: ${withoutSecrets(failure.message)}${hintFor(failure)}`)
  if (
    !(error instanceof CygnetError) &&
    processEnvironment().CYGNET_LOG_LEVEL === 'debug' &&
    error instanceof Error
  )
    printToStderr(withoutSecrets(error.stack ?? ''))
  return 1
}

/** A hint for the most frequent failures; empty for the others. */
function hintFor(failure: Failure): string {
  const { error } = failure.details
  if (error === 'ECONNREFUSED')
    return '\nIs the stack running? `npm start` starts it; `cygnet config` shows the addresses in force.'
  if (failure.details.operator === true) return '\n`cygnet config` shows the settings in force.'
  return failure instanceof CygnetError && failure.cause !== undefined
    ? '\nCYGNET_LOG_LEVEL=debug shows where it happened.'
    : ''
}

if (import.meta.main) await main()
