/** A store whose clock differs from the database's. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { reconcile } from '../../../shared/ingest/reconcile.ts'
import { alertLines } from '../../support/alerts.ts'
import { type AlteringProxy, startAlteringProxy, unaltered } from '../../support/altering-proxy.ts'
import { signal, startTestContext, type TestContext } from '../../support/context.ts'

let context: TestContext
let proxy: AlteringProxy
beforeAll(async () => {
  proxy = await startAlteringProxy()
  context = await startTestContext({ CYGNET_S3_ENDPOINT: proxy.origin })
  proxy.target = String(context.store.environment.CYGNET_S3_ENDPOINT)
})
afterAll(async () => {
  await context.close()
  await proxy.close()
})

const listing = () => reconcile(context, { bucket: context.bucket, prefix: '', graceSeconds: 0 }, signal)
const clockAlerts = async () =>
  (
    await context.database
      .selectFrom('outbox')
      .select('body')
      .where('name', 'like', '%clock-differs%')
      .execute()
  ).map(({ body }) => JSON.parse(body).summary as string)

test('the clock of a store is compared at each listing, and a difference is alerted once, until it agrees', async () => {
  await listing()
  expect(await clockAlerts()).toEqual([])
  proxy.alter = (answer) => {
    answer.headers.date = new Date(Date.now() - 4 * 60_000).toUTCString()
  }
  await listing()
  await listing()
  expect(await clockAlerts()).toEqual([
    expect.stringContaining(`the clock of the store of ${context.bucket} is 4 minutes behind the database's`),
  ])
  proxy.alter = unaltered
  await listing()
  await listing()
  const lines = (await alertLines(context.database)).filter((line) => line.includes('clock-differs'))
  const about = `clock-differs the store of ${context.bucket}`
  expect(lines).toEqual([`raise ${about}`, `resolve ${about}`])
})

test('a store that states no time, or does not answer, is not said to differ', async () => {
  await context.database.deleteFrom('outbox').execute()
  proxy.alter = (answer, { method }) => {
    if (method === 'HEAD') answer.headers.date = 'yesterday'
  }
  await listing()
  proxy.alter = (answer, { method }) => {
    if (method === 'HEAD') answer.status = 403
  }
  await listing()
  proxy.alter = unaltered
  expect(await clockAlerts()).toEqual([])
})

test('an object without a notification is announced at once when the clock of its store is ahead', async () => {
  const later = (time: string) => new Date(Date.parse(time) + 3 * 3_600_000)
  proxy.alter = (answer) => {
    if (!answer.body.includes('<LastModified>')) return
    const text = answer.body
      .toString('latin1')
      .replaceAll(/<LastModified>([^<]*)</g, (_, time) => `<LastModified>${later(time).toISOString()}<`)
    answer.body = Buffer.from(text, 'latin1')
  }
  await context.put('LNGS/run00077.mid.gz', 'not read here')
  const found = await reconcile(context, { bucket: context.bucket, prefix: '', graceSeconds: 60 }, signal)
  proxy.alter = unaltered
  expect(found.announced).toBe(1)
})
