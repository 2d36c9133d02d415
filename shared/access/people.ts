/**
 * People with personal tokens: what the IAM last confirmed about their rights, and the sealed refresh token with
 * which the API asks it again. docs/adr/0025-rights-and-personal-tokens.md.
 */
import type { Database } from '../database/connect.ts'
import type { PeopleTable, Person } from './schema.ts'

/** How long the rights that the IAM confirmed count without being confirmed again. */
export const CONFIRMED_MS = 3_600_000

/** What the IAM stated about a person, and when. */
export interface Confirmation {
  readonly subject: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly confirmedAt: Date
}

const tables = (database: Database) => database.withTables<{ people: PeopleTable }>()

export async function findPerson(database: Database, subject: string): Promise<Person | null> {
  const query = tables(database).selectFrom('people').selectAll().where('subject', '=', subject)
  return (await query.executeTakeFirst()) ?? null
}

/** Names by subject. */
export async function namesOfPeople(database: Database): Promise<ReadonlyMap<string, string>> {
  const rows = await tables(database).selectFrom('people').select(['subject', 'name']).execute()
  return new Map(rows.map(({ subject, name }) => [subject, name]))
}

/** Records a confirmation, unless a later one is known. */
export async function confirmPerson(database: Database, confirmation: Confirmation): Promise<void> {
  const { subject, name, scopes, confirmedAt } = confirmation
  const known = { name, scopes: JSON.stringify(scopes), confirmedAt }
  await tables(database)
    .insertInto('people')
    .ignore()
    .values({ subject, ...known, lastingSignIn: null, renewingUntil: null })
    .execute()
  await tables(database)
    .updateTable('people')
    .set(known)
    .where('subject', '=', subject)
    .where('confirmedAt', '<', confirmedAt)
    .execute()
}

/** Records a confirmation of a person who is known, that is, has or had personal tokens. */
export async function confirmIfKnown(database: Database, confirmation: Confirmation): Promise<void> {
  if ((await findPerson(database, confirmation.subject)) !== null) await confirmPerson(database, confirmation)
}

/** @param sealed a refresh token; null forgets the one that is stored. */
export async function keepLastingSignIn(
  database: Database,
  subject: string,
  sealed: string | null,
): Promise<void> {
  const row = tables(database).updateTable('people').where('subject', '=', subject)
  await row.set({ lastingSignIn: sealed }).execute()
}

/**
 * What came of the use of the refresh token `used`, unless it was forgotten or replaced meanwhile: a sign-in that was
 * forgotten must not come back.
 */
export async function replaceLastingSignIn(
  database: Database,
  subject: string,
  used: string,
  sealed: string | null,
): Promise<void> {
  const row = tables(database).updateTable('people').where('subject', '=', subject)
  await row.set({ lastingSignIn: sealed }).where('lastingSignIn', '=', used).execute()
}

/**
 * Whether this process may use the refresh token until that time: an IAM may end a sign-in whose token is used
 * twice. Never given back, so that an IAM that is away is not asked by every request.
 */
export async function beginRenewal(
  database: Database,
  subject: string,
  at: Date,
  until: Date,
): Promise<boolean> {
  const { numUpdatedRows } = await tables(database)
    .updateTable('people')
    .set({ renewingUntil: until })
    .where('subject', '=', subject)
    .where((or) => or.or([or('renewingUntil', 'is', null), or('renewingUntil', '<', at)]))
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}
