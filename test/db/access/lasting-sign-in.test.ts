/** A refresh token of the IAM is stored only as long as a personal token needs it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHandler } from '../../../functions/reconcile/handler.ts'
import {
  confirmPerson,
  findPerson,
  keepLastingSignIn,
  replaceLastingSignIn,
} from '../../../shared/access/people.ts'
import { createPersonalToken, revokeTokens, revokeTokensOf } from '../../../shared/access/tokens.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { signal, startTestContext, type TestContext } from '../../support/context.ts'

const DAY_MS = 86_400_000
const SCOPES = ['read:LNGS']

let context: TestContext
beforeAll(async () => {
  context = await startTestContext()
})
afterAll(() => context.close())

/** Somebody with a lasting sign-in and a token that is valid for some days. @returns the id of the token. */
async function person(subject: string, days: number): Promise<number> {
  const { database } = context
  const at = new Date()
  await confirmPerson(database, { subject, name: 'Eve', scopes: SCOPES, confirmedAt: at })
  await keepLastingSignIn(database, subject, `sealed ${subject}`)
  const wanted = { name: 'notebook', scopes: SCOPES, days }
  return (await createPersonalToken(database, { subject, scopes: SCOPES }, wanted, at)).id
}
const stored = async (subject: string) => (await findPerson(context.database, subject))?.lastingSignIn
const reconcileAt = (at: Date) =>
  createHandler({ ...context, now: () => at })(scheduledEvent('reconcile', at), { signal, log: context.log })

test('it is forgotten when the last token has expired, not while there is a valid one', async () => {
  await person('person:eve', 2)
  await person('person:bob', 2)
  await person('person:bob', 20)
  await reconcileAt(new Date(Date.now() + DAY_MS))
  expect(await stored('person:eve')).toBe('sealed person:eve')
  await reconcileAt(new Date(Date.now() + 3 * DAY_MS))
  expect(await stored('person:eve')).toBeNull()
  expect(await stored('person:bob')).toBe('sealed person:bob')
})

test('it is not forgotten right after the sign-in, when the first token is still to be made', async () => {
  const id = await person('person:ida', 2)
  await revokeTokens(context.database, String(id), new Date())
  await keepLastingSignIn(context.database, 'person:ida', 'again')
  await reconcileAt(new Date())
  expect(await stored('person:ida')).toBe('again')
})

test('it does not come back when the IAM renews it while the last token is revoked', async () => {
  await person('person:kim', 2)
  await revokeTokensOf(context.database, 'person:kim', 'all', new Date())
  await replaceLastingSignIn(context.database, 'person:kim', 'sealed person:kim', 'renewed')
  expect(await stored('person:kim')).toBeNull()
})
