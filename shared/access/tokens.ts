/**
 * API tokens: `cyg_` and 256 random bits. Only their SHA-256 is stored, so that read access to the catalogue
 * or its backup does not reveal any; a random text of that length needs no salt and no slow hash.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Database } from '../database/connect.ts'
import { InvalidInputError } from '../errors.ts'
import { CONFIRMED_MS, keepLastingSignIn } from './people.ts'
import type { ApiToken, ApiTokensTable, PeopleTable } from './schema.ts'
import { allows, EVERY_TAG, parseScope, tagsOf } from './scopes.ts'

const PREFIX = 'cyg_'
const FORM = /^cyg_[A-Za-z0-9_-]{43}$/

const NAME = /^(?!\d+$)[A-Za-z0-9][\w.@-]{0,99}$/
/** Names of machines, as the API accepts them. */
export const MACHINE = /^[A-Za-z0-9._-]{1,253}$/
const LONGEST_DAYS = 3650
/** Of personal tokens. */
export const LONGEST_PERSONAL_DAYS = 90
/** Valid personal tokens of one person. */
const MOST_PERSONAL = 20
const DAY_MS = 86_400_000

/** The use of a token is recorded at most once a minute, not for each of thousands of requests. */
const USE_RECORDED_MS = 60_000

export type TokenState = 'valid' | 'expired' | 'revoked'

const tables = (database: Database) => database.withTables<{ apiTokens: ApiTokensTable }>()
const hashOf = (secret: string) => createHash('sha256').update(secret).digest()

/**
 * Creates a token; its secret is returned here and cannot be shown again.
 * @throws InvalidInputError for an invalid name, machine, scope or number of days.
 */
export async function createToken(
  database: Database,
  wanted: {
    readonly name: string
    /** The machine that it speaks for; by default its name is that of the machine. */
    readonly machine?: string | undefined
    /** The person of a personal token. */
    readonly subject?: string
    readonly scopes: readonly string[]
    readonly days: number
  },
  at: Date,
): Promise<{ readonly id: number; readonly secret: string; readonly expiresAt: Date }> {
  if (!NAME.test(wanted.name))
    throw new InvalidInputError(
      `"${wanted.name}" cannot be the name of a token: letters, digits and . _ - @, and not only digits`,
    )
  if (wanted.machine !== undefined && !MACHINE.test(wanted.machine))
    throw new InvalidInputError(`"${wanted.machine}" is not the name of a machine`)
  if (wanted.scopes.length === 0)
    throw new InvalidInputError('a token needs at least one scope, e.g. push:LNGS')
  for (const scope of wanted.scopes) parseScope(scope)
  if (!Number.isInteger(wanted.days) || wanted.days < 1 || wanted.days > LONGEST_DAYS)
    throw new InvalidInputError(`a token is valid for 1 to ${LONGEST_DAYS} days`)
  const secret = `${PREFIX}${randomBytes(32).toString('base64url')}`
  const expiresAt = new Date(at.getTime() + wanted.days * DAY_MS)
  const { insertId } = await tables(database)
    .insertInto('apiTokens')
    .values({
      name: wanted.name,
      machine: wanted.machine ?? wanted.name,
      subject: wanted.subject ?? null,
      tokenHash: hashOf(secret),
      scopes: JSON.stringify([...new Set(wanted.scopes)]),
      createdAt: at,
      expiresAt,
    })
    .executeTakeFirstOrThrow()
  return { id: Number(insertId), secret, expiresAt }
}

/**
 * Creates a token of a person, with at most the scopes of the person.
 * @throws InvalidInputError for an invalid name, scope or number of days, and when the person has too many tokens.
 */
export async function createPersonalToken(
  database: Database,
  person: { readonly subject: string; readonly scopes: readonly string[] },
  wanted: { readonly name: string; readonly scopes: readonly string[]; readonly days: number },
  at: Date,
): ReturnType<typeof createToken> {
  for (const scope of wanted.scopes) {
    const { right, tag } = parseScope(scope)
    if (!allows(person.scopes, right, tag))
      throw new InvalidInputError(`you do not have the right ${scope} yourself`)
  }
  if (wanted.days > LONGEST_PERSONAL_DAYS)
    throw new InvalidInputError(`a personal token is valid for 1 to ${LONGEST_PERSONAL_DAYS} days`)
  const own = await listTokensOf(database, person.subject)
  if (own.filter((token) => stateOf(token, at) === 'valid').length >= MOST_PERSONAL)
    throw new InvalidInputError(`you have ${MOST_PERSONAL} tokens; revoke one first`)
  return await createToken(database, { ...wanted, subject: person.subject }, at)
}

/** The token with this secret, or null. Its validity is checked by `stateOf`. */
export async function findToken(database: Database, secret: string): Promise<ApiToken | null> {
  if (!FORM.test(secret)) return null
  const query = tables(database).selectFrom('apiTokens').selectAll().where('tokenHash', '=', hashOf(secret))
  return (await query.executeTakeFirst()) ?? null
}

export function stateOf(token: Pick<ApiToken, 'expiresAt' | 'revokedAt'>, at: Date): TokenState {
  if (token.revokedAt !== null) return 'revoked'
  return token.expiresAt <= at ? 'expired' : 'valid'
}

/** Records the use of a token, to the minute. */
export async function recordUse(database: Database, token: ApiToken, at: Date): Promise<void> {
  if (token.lastUsedAt !== null && at.getTime() - token.lastUsedAt.getTime() < USE_RECORDED_MS) return
  await tables(database).updateTable('apiTokens').set({ lastUsedAt: at }).where('id', '=', token.id).execute()
}

/** What is known of the token of a caller. */
export type TokenOfCaller = Pick<ApiToken, 'id' | 'name' | 'machine' | 'scopes'>

/**
 * The machine that a token speaks for. A token made before machines were recorded gets its machine at its first
 * report, from `host`: its name, or the only machine from which files of its tags were reported so far. At that
 * time any name was accepted (`--name daq-lngs` on the machine daq01), and such a machine must not stop.
 */
export async function machineOf(database: Database, token: TokenOfCaller, host: string): Promise<string> {
  if (token.machine !== null) return token.machine
  const machine = host === token.name ? host : ((await onlyMachine(database, token)) ?? token.name)
  const row = tables(database).updateTable('apiTokens').where('id', '=', token.id)
  await row.set({ machine }).where('machine', 'is', null).execute()
  // A report at the same time may have been the first.
  const stored = await findMachine(database, token.id)
  return stored ?? machine
}

async function findMachine(database: Database, id: number): Promise<string | null> {
  const query = tables(database).selectFrom('apiTokens').select('machine').where('id', '=', id)
  return (await query.executeTakeFirst())?.machine ?? null
}

/** The machine that all reported files of the token's tags are on; null when there are several, or none. */
async function onlyMachine(database: Database, { scopes }: TokenOfCaller): Promise<string | null> {
  const tags = tagsOf(scopes, 'push')
  const [first, second] = await database
    .selectFrom('replicas')
    .select('endpoint')
    .distinct()
    .where('kind', '=', 'local')
    .$if(!allows(scopes, 'push', EVERY_TAG), (query) => query.where('tag', 'in', tags))
    .limit(2)
    .execute()
  return first === undefined || second !== undefined ? null : first.endpoint
}

export type ListedToken = Omit<ApiToken, 'tokenHash'>

/** All tokens, including expired and revoked ones, newest first. */
export const listTokens = (database: Database): Promise<readonly ListedToken[]> => listed(database).execute()

/** The personal tokens of a person, likewise. */
export const listTokensOf = (database: Database, subject: string): Promise<readonly ListedToken[]> =>
  listed(database).where('subject', '=', subject).execute()

const listed = (database: Database) =>
  tables(database)
    .selectFrom('apiTokens')
    .select([
      'id',
      'name',
      'machine',
      'subject',
      'scopes',
      'createdAt',
      'expiresAt',
      'revokedAt',
      'lastUsedAt',
    ])
    .orderBy('id', 'desc')

/** Revokes personal tokens of a person: the one of this id, or all. Returns how many are revoked now. */
export const revokeTokensOf = (
  database: Database,
  subject: string,
  id: number | 'all',
  at: Date,
): Promise<number> =>
  database.transaction().execute(async (trx) => {
    const own = await listTokensOf(trx, subject)
    return await revoke(
      trx,
      own.filter((token) => id === 'all' || token.id === id),
      at,
    )
  })

/**
 * With the last token of a person goes the lasting sign-in, which nothing needs any more; in one transaction, since
 * nobody would revoke the token again. Returns how many were revoked now.
 */
async function revoke(
  trx: Database,
  tokens: readonly Pick<ListedToken, 'id' | 'subject'>[],
  at: Date,
): Promise<number> {
  if (tokens.length === 0) return 0
  const ended = await tables(trx)
    .updateTable('apiTokens')
    .set({ revokedAt: at })
    .where(
      'id',
      'in',
      tokens.map(({ id }) => id),
    )
    .where('revokedAt', 'is', null)
    .executeTakeFirstOrThrow()
  if (ended.numUpdatedRows === 0n) return 0
  for (const subject of new Set(tokens.map((token) => token.subject)))
    if (
      subject !== null &&
      !(await listTokensOf(trx, subject)).some((token) => stateOf(token, at) === 'valid')
    )
      await keepLastingSignIn(trx, subject, null)
  return Number(ended.numUpdatedRows)
}

/**
 * Forgets the lasting sign-ins of people whose last token has expired. Whoever signed in within the last hour may be
 * about to make one. Returns how many were forgotten.
 */
export async function forgetUnneededSignIns(database: Database, at: Date): Promise<number> {
  const { numUpdatedRows } = await database
    .withTables<{ apiTokens: ApiTokensTable; people: PeopleTable }>()
    .updateTable('people')
    .set({ lastingSignIn: null })
    .where('lastingSignIn', 'is not', null)
    .where('confirmedAt', '<', new Date(at.getTime() - CONFIRMED_MS))
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('apiTokens')
            .select('id')
            .whereRef('apiTokens.subject', '=', 'people.subject')
            .where('revokedAt', 'is', null)
            .where('expiresAt', '>', at),
        ),
      ),
    )
    .executeTakeFirstOrThrow()
  return Number(numUpdatedRows)
}

/**
 * Revokes the token of this id, or all of machines with this name; tokens revoked before are not changed. Returns how many
 * were revoked now.
 * @throws InvalidInputError when there is none.
 */
export async function revokeTokens(database: Database, idOrName: string, at: Date): Promise<number> {
  const column = /^\d{1,15}$/.test(idOrName) ? 'id' : 'name'
  const value = column === 'id' ? Number(idOrName) : idOrName
  return await database.transaction().execute(async (trx) => {
    const tokens = await listed(trx)
      .where(column, '=', value)
      // Names of personal tokens are chosen by their people, and may be that of a machine.
      .$if(column === 'name', (query) => query.where('subject', 'is', null))
      .execute()
    if (tokens.length === 0)
      throw new InvalidInputError(`there is no token "${idOrName}"; \`cygnet token ls\` shows all`)
    return await revoke(trx, tokens, at)
  })
}
