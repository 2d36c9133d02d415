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
import { InvalidInputError } from '../../shared/errors.ts'
import { unknownTag } from '../../shared/queries/known-tags.ts'
import { isTag } from '../../shared/run.ts'
import { apiSettings } from '../api/client.ts'
import { apiOption } from '../api/option.ts'
import { auditedCommand } from '../audited.ts'
import { print, printJson, printToStderr, table, time } from '../output.ts'
import { interruption, withContext } from '../settings.ts'

/** Days of a token for which none are named. */
const MACHINE_DAYS = 365
const PERSONAL_DAYS = 30

const EXAMPLES = `
Examples:
  cygnet token create --name daq-lngs --machine daq01 --scope push:LNGS
  cygnet token create --name analysis --scope read:LNGS link:LNGS recall:LNGS
  cygnet token create --personal --name notebook --scope read:LNGS link:LNGS
  cygnet token create --name operator --scope overwrite:LNGS overwrite:LNF --days 7

Scopes: push:TAG sends new runs of the tag, overwrite:TAG also replaces objects; read:TAG reads its runs, link:TAG gets links
to their files, recall:TAG brings them back from tape; override:TAG corrects parameters of runs; operate:* reads the queues and retries failed work. The tag may be *.
A personal token (--personal) is for your own curl, Python and notebooks: it has at most your rights, and loses those of a group
within an hour after you leave it. All others need access to the database.
A token reports and deletes only the files of its own machine (--machine, as the command hostname prints it there).
Where the token is used, set CYGNET_API_URL and CYGNET_API_TOKEN (or CYGNET_API_TOKEN_FILE, a file that only its user can read).`

export function register(program: Command): void {
  const token = program
    .command('token')
    .description('manage API tokens: access for machines without credentials for the store')
  token
    .command('create')
    .description('create a token; its secret is shown once and not stored')
    .requiredOption('--name <name>', 'the machine or program that will use it')
    .option('--personal', 'a token of yours, made through the API with the sign-in of `cygnet login`')
    .addOption(apiOption())
    .option('--machine <machine>', 'the machine whose files it may report; by default its name')
    .requiredOption('--scope <scopes...>', 'its rights, e.g. push:LNGS')
    .option(
      '--days <days>',
      'lifetime in days (default: 365; of a personal one 30, and 90 at most)',
      parseDays,
    )
    .option('--json', 'one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(
      async (options: {
        name: string
        machine?: string
        scope: readonly string[]
        days?: number
        personal?: boolean
        api?: string
        json?: boolean
      }) => {
        if (options.personal === true) return await createPersonal(options)
        const days = options.days ?? MACHINE_DAYS
        const { name, machine, scope: scopes } = options
        const made = await withContext(['database'], async (context) => {
          const tags = scopes.map((scope) => scope.slice(scope.indexOf(':') + 1)).filter(isTag)
          const unknown = await unknownTag(context.database, tags)
          if (unknown !== null) printToStderr(`note: ${unknown}`)
          return await auditedCommand(
            context,
            'operate',
            `new token "${name}" for ${scopes.join(', ')}, ${days} d`,
            () => createToken(context.database, { name, machine, scopes, days }, context.now()),
            ({ id }) => `token ${id}`,
          )
        })
        printMade(made, options)
      },
    )
  token
    .command('ls')
    .description('list the tokens, without their secrets')
    .option('--personal', 'yours, through the API with the sign-in of `cygnet login`')
    .addOption(apiOption())
    .option('--json', 'one JSON object a line')
    .action(async (options: { personal?: boolean; api?: string; json?: boolean }) => {
      if (options.personal === true) return await listPersonal(options)
      const tokens = await withContext(['database'], async ({ database, now }) =>
        (await listTokens(database)).map((row) => ({ ...row, state: stateOf(row, now()) })),
      )
      if (options.json === true) for (const row of tokens) print(JSON.stringify(row))
      else print(tokens.length === 0 ? 'no tokens' : tokenTable(tokens))
    })
  token
    .command('revoke')
    .description('revoke a token immediately')
    .argument('<id-or-name>', 'its id, or its name (then all tokens of machines with that name)')
    .option('--personal', 'one of yours, by its id, through the API with the sign-in of `cygnet login`')
    .addOption(apiOption())
    .action(async (idOrName: string, options: { personal?: boolean; api?: string }) => {
      if (options.personal === true) return await revokePersonal(idOrName, options.api)
      const count = await withContext(['database'], (context) =>
        auditedCommand(
          context,
          'operate',
          `token ${idOrName} revoked`,
          () => revokeTokens(context.database, idOrName, context.now()),
          (revoked) => `${revoked} revoked`,
        ),
      )
      print(
        count === 0
          ? `"${idOrName}" was already revoked`
          : `${count} ${count === 1 ? 'token' : 'tokens'} revoked`,
      )
    })
}

interface Made {
  readonly id: number
  readonly secret: string
  readonly expiresAt: Date
}
interface Wanted {
  readonly name: string
  readonly scope: readonly string[]
  readonly days?: number
  readonly api?: string
  readonly json?: boolean
}

/** The secret alone on standard output: `… > token` writes a file that CYGNET_API_TOKEN_FILE can name. */
function printMade({ id, secret, expiresAt }: Made, { name, scope, json }: Wanted): void {
  if (json === true) return void printJson({ id, name, token: secret, expiresAt })
  printToStderr(
    `token ${id} "${name}" for ${scope.join(', ')}, until ${time(expiresAt)} UTC. The secret is shown only now:`,
  )
  print(secret)
}

async function createPersonal(options: Wanted): Promise<void> {
  const { createOwnToken } = await import('../login/own-tokens.ts')
  const { name, scope: scopes, days = PERSONAL_DAYS, api } = options
  const made = await createOwnToken(api, { name, scopes, days }, interruption())
  printMade({ id: made.id, secret: made.token, expiresAt: new Date(made.expiresAt) }, options)
  if (!made.lasting) printToStderr(await sleepHint(api))
}

const sleepHint = async (api: string | undefined) =>
  `personal tokens sleep an hour after each sign-in; cygnet login wakes them. To let them last, open once: ${new URL('sign-in?lasting=yes&to=/tokens', (await apiSettings(api)).address)}`

async function listPersonal({
  api,
  json,
}: {
  readonly api?: string
  readonly json?: boolean
}): Promise<void> {
  const { listOwnTokens } = await import('../login/own-tokens.ts')
  const { tokens, lasting } = await listOwnTokens(api, interruption())
  if (json === true) for (const token of tokens) print(JSON.stringify(token))
  else if (tokens.length === 0) print('no tokens')
  else
    print(
      table(
        ['id', 'name', 'state', 'scopes', 'made', 'until', 'last used'],
        tokens.map(({ id, name, state, scopes, createdAt, expiresAt, lastUsedAt }) => [
          id,
          name,
          state,
          scopes.join(' '),
          time(new Date(createdAt)),
          time(new Date(expiresAt)),
          time(lastUsedAt === null ? null : new Date(lastUsedAt)),
        ]),
      ),
    )
  if (!lasting && tokens.some(({ state }) => state === 'valid')) printToStderr(await sleepHint(api))
}

async function revokePersonal(id: string, api: string | undefined): Promise<void> {
  const { revokeOwnToken } = await import('../login/own-tokens.ts')
  if (!/^\d{1,15}$/.test(id))
    throw new InvalidInputError('name the id: `cygnet token ls --personal` shows it')
  await revokeOwnToken(api, Number(id), interruption())
  print('1 token revoked')
}

type Shown = Awaited<ReturnType<typeof listTokens>>[number] & { readonly state: TokenState }

const tokenTable = (tokens: readonly Shown[]) =>
  table(
    ['id', 'name', 'of', 'state', 'scopes', 'made (UTC)', 'until (UTC)', 'last used (UTC)'],
    tokens.map((token) => [
      token.id,
      token.name,
      token.subject ?? token.machine ?? token.name,
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
