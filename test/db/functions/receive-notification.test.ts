/** Refused notifications alert people, however slowly they come and whichever process refuses them. */
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createHandler } from '../../../functions/receive-notification/handler.ts'
import { startTestContext, type TestContext } from '../../support/context.ts'
import { record } from '../../support/notifications/arrivals.ts'
import { until } from '../../support/waiting.ts'

let context: TestContext
beforeEach(async () => {
  context = await startTestContext({ CYGNET_NOTIFICATION_TOKEN: 'a-token-of-the-stores' })
})
afterEach(() => context.close())

const refused = async () =>
  await context.database.selectFrom('refusedNotifications').selectAll().executeTakeFirst()
const alerts = async () => {
  const rows = await context.database.selectFrom('outbox').select(['name', 'body']).execute()
  return rows.filter(({ name }) => name.startsWith('alert:notifications-refused'))
}

/** Posts one notification with a wrong token to a new process of the function. */
async function post() {
  const before = (await refused())?.refusedAt.getTime()
  const answer = await createHandler(context).fetch(
    new Request('http://localhost/ceph', {
      method: 'POST',
      headers: { authorization: 'Bearer wrong' },
      body: JSON.stringify({ Records: [record({ key: 'LNGS/run12345.mid.gz' })] }),
    }),
  )
  expect(answer.status).toBe(401)
  await until(async () => (await refused())?.refusedAt.getTime() !== before)
}

const passTime = async (minutes: number) => {
  await sql`UPDATE refused_notifications SET since = since - INTERVAL ${minutes} MINUTE,
    refused_at = refused_at - INTERVAL ${minutes} MINUTE`.execute(context.database)
}

test('refusals are counted over all processes: ten of them alert people, nine do not', async () => {
  for (let count = 0; count < 9; count++) await post()
  expect(await alerts()).toEqual([])
  await post()
  const [alert, ...more] = await alerts()
  expect(more).toEqual([])
  expect(JSON.stringify(alert?.body)).toContain('refused 10 requests since')
  await post()
  expect(await alerts()).toHaveLength(1)
})

test('a store whose notifications are refused every few minutes alerts people after a quarter of an hour', async () => {
  await post()
  for (let count = 0; count < 3; count++) {
    await passTime(4)
    await post()
  }
  expect(await alerts()).toEqual([])
  await passTime(4)
  await post()
  expect(await alerts()).toHaveLength(1)
})

test('single refusals more than a day apart alert nobody', async () => {
  for (let count = 0; count < 12; count++) {
    await post()
    await passTime(25 * 60)
  }
  expect(await alerts()).toEqual([])
})
