/**
 * API tokens: `cyg_` and 256 random bits. Only their SHA-256 is stored, so that read access to the catalogue
 * or its backup does not reveal any; a random text of that length needs no salt and no slow hash.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Database } from '../database/connect.ts'
import { InvalidInputError } from '../errors.ts'
import type { ApiToken, ApiTokensTable } from './schema.ts'
import { parseScope } from './scopes.ts'

const PREFIX = 'cyg_'
const FORM = /^cyg_[A-Za-z0-9_-]{43}$/

const NAME = /^(?!\d+$)[A-Za-z0-9][\w.@-]{0,99}$/
/** Names of machines, as the API accepts them. */
export const MACHINE = /^[A-Za-z0-9._-]{1,253}$/
const LONGEST_DAYS = 3650
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
      machine: wanted.machine ?? null,
      tokenHash: hashOf(secret),
      scopes: JSON.stringify([...new Set(wanted.scopes)]),
      createdAt: at,
      expiresAt,
    })
    .executeTakeFirstOrThrow()
  return { id: Number(insertId), secret, expiresAt }
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

/** All tokens, including expired and revoked ones, newest first. */
export const listTokens = (database: Database): Promise<readonly Omit<ApiToken, 'tokenHash'>[]> =>
  tables(database)
    .selectFrom('apiTokens')
    .select(['id', 'name', 'machine', 'scopes', 'createdAt', 'expiresAt', 'revokedAt', 'lastUsedAt'])
    .orderBy('id', 'desc')
    .execute()

/**
 * Revokes the token of this id, or all of this name; tokens revoked before are not changed. Returns how many
 * were revoked now.
 * @throws InvalidInputError when there is none.
 */
export async function revokeTokens(database: Database, idOrName: string, at: Date): Promise<number> {
  const column = /^\d+$/.test(idOrName) ? 'id' : 'name'
  const value = column === 'id' ? Number(idOrName) : idOrName
  const known = await tables(database)
    .selectFrom('apiTokens')
    .select('id')
    .where(column, '=', value)
    .executeTakeFirst()
  if (known === undefined)
    throw new InvalidInputError(`there is no token "${idOrName}"; \`cygnet token ls\` shows all`)
  const ended = await tables(database)
    .updateTable('apiTokens')
    .set({ revokedAt: at })
    .where(column, '=', value)
    .where('revokedAt', 'is', null)
    .executeTakeFirstOrThrow()
  return Number(ended.numUpdatedRows)
}
