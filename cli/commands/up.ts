/** `cygnet up`: runs the whole system on this machine until Ctrl-C. */
import { join, relative } from 'node:path'
import { styleText } from 'node:util'
import { type Command, InvalidArgumentError } from 'commander'
import { EXTRAS, type Extra } from '../../infra/local/setup.ts'
import type { Stack } from '../../infra/local/stack.ts'
import { processEnvironment } from '../../shared/config/config.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { wholeNumber } from '../arguments.ts'
import { list, print, printToStderr } from '../output.ts'
import { interruption, stackFolder } from '../settings.ts'

function parseExtras(text: string): readonly Extra[] {
  const names = text.split(',').map((name) => name.trim())
  for (const name of names)
    if (!EXTRAS.some((extra) => extra === name))
      throw new InvalidArgumentError(`Unknown part "${name}"; the parts are: ${EXTRAS.join(', ')}.`)
  return EXTRAS.filter((extra) => names.includes(extra))
}

export function register(program: Command): void {
  program
    .command('up')
    .description('run everything on this machine: database, S3, queues and every function, until Ctrl-C')
    .option('--with <parts>', `additional parts: ${EXTRAS.join(', ')}`, parseExtras, [])
    .option('--workers <count>', 'processes of each queue function', wholeNumber(1, 64), 1)
    .option(
      '--no-notifications',
      'the store sends no notifications of new objects; `cygnet reconcile` finds them',
    )
    .addHelpText(
      'after',
      `
Data, logs, ports and the CLI's token are stored under .cygnet (CYGNET_FOLDER) and used again at the next start.
CYGNET_* variables of the environment are settings of the functions, e.g. CYGNET_ANONYMOUS_SCOPES=read:* cygnet up.
Those that name a database, store, queue or sign-in are not used: the stack has its own.`,
    )
    .action(async (options: { with: readonly Extra[]; workers: number; notifications: boolean }) => {
      const [{ setUp }, { startStack }] = await Promise.all([
        import('../../infra/local/setup.ts'),
        import('../../infra/local/stack.ts'),
      ])
      const signal = AbortSignal.any([interruption(), endOfNpm()])
      await setUp({ extras: options.with, signal })
      const dataFolder = stackFolder()
      const stack = await startStack({
        dataFolder,
        extras: options.with,
        workers: options.workers,
        notifications: options.notifications,
        environment: processEnvironment(),
        signal,
        onProgress: printToStderr,
      })
      try {
        print(welcome(stack, relative('', dataFolder), options.notifications))
        await untilAborted(signal)
        printToStderr('stopping …')
      } finally {
        await stack.stop()
      }
    })
}

const PARENT_CHECK_MS = 500

/**
 * Aborts when `npm start` is killed. npm cannot pass on a kill -9, and the stack would go on without a terminal.
 * Started by hand, the command may outlive its shell (nohup).
 */
function endOfNpm(): AbortSignal {
  const ended = new AbortController()
  const parent = process.ppid
  if (processEnvironment().npm_lifecycle_event !== undefined)
    setInterval(() => {
      if (process.ppid !== parent) ended.abort(new InvalidInputError('npm was killed'))
    }, PARENT_CHECK_MS).unref()
  return ended.signal
}

/** The next commands to type. The credentials are in a file that only its owner can read. */
function welcome(
  { environment, users, address, discordPage }: Stack,
  folder: string,
  notifications: boolean,
): string {
  const endpoint = environment.CYGNET_S3_ENDPOINT
  const bucket = environment.CYGNET_RAW_BUCKETS
  const bold = (text: string) => styleText('bold', text)
  return `
${bold('Cygnet is up.')} Make a run and drop it into s3://${bucket}/LNGS/ with any S3 client:

  cli/cygnet simulate --out /tmp/daq --first-run 12345 --events 12
  ${bold(`. ${join(folder, 's3.env')}`)}                      # the keys of this stack

${list([
  ['  aws', `aws --endpoint-url ${endpoint} s3 cp /tmp/daq/LNGS/run12345.mid.gz s3://${bucket}/LNGS/`],
  [
    '  mc',
    `mc alias set cygnet ${endpoint} $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY && mc cp /tmp/daq/LNGS/run12345.mid.gz cygnet/${bucket}/LNGS/`,
  ],
  [
    '  rclone',
    `rclone copy /tmp/daq/LNGS/run12345.mid.gz ':s3,provider=Other,env_auth,endpoint="${endpoint}":${bucket}/LNGS'`,
  ],
  ['  cygnet', `cli/cygnet push /tmp/daq/LNGS/run12345.mid.gz --tag LNGS`],
])}

The catalogue: ${bold(address('catalog-api'))}
${list(users.map((user) => [`  sign in as ${user.name}`, user.password]))}
${discordPage === null ? '' : `\nWhere alerts are shown: ${bold(discordPage)}\n`}
then, in another terminal:

  cli/cygnet runs show 12345        the catalogue's data of the run
  cli/cygnet logs --run 12345       what happened to it
${notifications ? '' : `\n  cli/cygnet reconcile              notifications are off: this finds the dropped objects\n`}
Ctrl-C stops everything; the data remain in ${folder}.`
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
