/**
 * `cygnet token`: API tokens, with which a machine sends runs without credentials for the store or the
 * catalogue.
 */
import { type Command, InvalidArgumentError } from 'commander'
import {
  createToken,
  listTokens,
  revokeTokens,
  stateOf,
  type TokenState,
} from '../../shared/access/tokens.ts'
import { print, printJson, printToStderr, table, time } from '../output.ts'
import { withContext } from '../settings.ts'

const EXAMPLES = `
Examples:
  cygnet token create --name daq-lngs --machine daq01 --scope push:LNGS
  cygnet token create --name analysis --scope read:LNGS link:LNGS recall:LNGS
  cygnet token create --name operator --scope overwrite:LNGS overwrite:LNF --days 7

Scopes: push:TAG sends new runs of the tag, overwrite:TAG also replaces objects; read:TAG reads its runs, link:TAG gets links
to their files, recall:TAG brings them back from tape; operate:* reads the queues and retries failed work. The tag may be *.
A token reports and deletes only the files of its own machine (--machine, as the command hostname prints it there).
Where the token is used, set CYGNET_API_URL and CYGNET_API_TOKEN (or CYGNET_API_TOKEN_FILE, a file that only its user can read).`

export function register(program: Command): void {
  const token = program
    .command('token')
    .description('manage API tokens: access for machines without credentials for the store')
  token
    .command('create')
    .description('create a token; its secret is shown once and not stored')
    .requiredOption('--name <name>', 'the machine or person that will use it')
    .option('--machine <machine>', 'the machine whose files it may report; by default its name')
    .requiredOption('--scope <scopes...>', 'its rights, e.g. push:LNGS')
    .option('--days <days>', 'lifetime in days', parseDays, 365)
    .option('--json', 'one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(
      async (options: {
        name: string
        machine?: string
        scope: readonly string[]
        days: number
        json?: boolean
      }) => {
        const made = await withContext(['database'], (context) =>
          createToken(
            context.database,
            { name: options.name, machine: options.machine, scopes: options.scope, days: options.days },
            context.now(),
          ),
        )
        if (options.json === true) {
          printJson({ id: made.id, name: options.name, token: made.secret, expiresAt: made.expiresAt })
          return
        }
        // The secret alone on standard output: `cygnet token create … > token` writes a file that
        // CYGNET_API_TOKEN_FILE can name.
        printToStderr(
          `token ${made.id} "${options.name}" for ${options.scope.join(', ')}, until ${time(made.expiresAt)} UTC. The secret is shown only now:`,
        )
        print(made.secret)
      },
    )
  token
    .command('ls')
    .description('list the tokens, without their secrets')
    .option('--json', 'one JSON object a line')
    .action(async (options: { json?: boolean }) => {
      const tokens = await withContext(['database'], async ({ database, now }) =>
        (await listTokens(database)).map((row) => ({ ...row, state: stateOf(row, now()) })),
      )
      if (options.json === true) for (const row of tokens) print(JSON.stringify(row))
      else print(tokens.length === 0 ? 'no tokens' : tokenTable(tokens))
    })
  token
    .command('revoke')
    .description('revoke a token immediately')
    .argument('<id-or-name>', 'its id, or its name (then all tokens of that name)')
    .action(async (idOrName: string) => {
      const count = await withContext(['database'], ({ database, now }) =>
        revokeTokens(database, idOrName, now()),
      )
      print(
        count === 0
          ? `"${idOrName}" was already revoked`
          : `${count} ${count === 1 ? 'token' : 'tokens'} revoked`,
      )
    })
}

type Shown = Awaited<ReturnType<typeof listTokens>>[number] & { readonly state: TokenState }

const tokenTable = (tokens: readonly Shown[]) =>
  table(
    ['id', 'name', 'machine', 'state', 'scopes', 'made (UTC)', 'until (UTC)', 'last used (UTC)'],
    tokens.map((token) => [
      token.id,
      token.name,
      token.machine ?? token.name,
      token.state,
      token.scopes.join(' '),
      time(token.createdAt),
      time(token.expiresAt),
      time(token.lastUsedAt),
    ]),
  )

function parseDays(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('A whole number of days is expected.')
  return Number(text)
}
