/** `cygnet notifications test`: one notification is followed from the store to the functions. */
import { PutBucketNotificationConfigurationCommand } from '@aws-sdk/client-s3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { followNotifications } from '../../../../cli/notifications/follow.ts'
import { createHandler as createExtract } from '../../../../functions/extract-metadata/handler.ts'
import { createHandler as createWebhook } from '../../../../functions/receive-notification/handler.ts'
import { queueArn } from '../../../../infra/local/services/embedded/embedded.ts'
import { testObjectKey } from '../../../../shared/notifications/test-object.ts'
import { applyBucketNotifications } from '../../../../shared/storage/bucket-notifications.ts'
import { listObjects } from '../../../../shared/storage/objects.ts'
import { beginCall, type Call } from '../../../never-lost/call.ts'
import { databaseOf } from '../../../never-lost/database.ts'
import { signal, startTestContext, type TestContext } from '../../../support/context.ts'
import { record } from '../../../support/notifications/arrivals.ts'
import { until } from '../../../support/waiting.ts'

const TOKEN = 'a-token-of-the-stores'
let context: TestContext
beforeEach(async () => {
  context = await startTestContext({ CYGNET_NOTIFICATION_TOKEN: TOKEN })
})
afterEach(() => context.close())

const target = () => queueArn(`${context.config.queue.prefix}runs`)
const apply = (...prefixes: readonly string[]) =>
  applyBucketNotifications(
    context.s3,
    { bucket: context.bucket, arn: target(), prefixes, suffixes: ['.mid.gz'] },
    signal,
  )
const stored = async () =>
  (await listObjects(context.s3, { bucket: context.bucket, prefix: '', startAfter: null }, signal)).objects
const arrivals = () => context.database.selectFrom('arrivals').selectAll().execute()
const alerts = () => context.database.selectFrom('outbox').selectAll().execute()
/** The test that has begun. */
const begun = async () => {
  await until(
    async () => (await context.database.selectFrom('notificationTests').selectAll().execute()).length > 0,
  )
  return await context.database.selectFrom('notificationTests').selectAll().executeTakeFirstOrThrow()
}

/** A process of its own, which may die. */
const processOf = (call: Call) => ({
  database: databaseOf(context.database, Date.now, call),
  s3: {
    config: context.s3.config,
    send: (command: never, ...rest: []) => call.through('store', () => context.s3.send(command, ...rest)),
  } as never,
})

/** Posts the notification of an object as Ceph does. */
async function post(key: string) {
  const object = { ...record({ key }, { eventSource: 'ceph:s3' }), opaqueData: TOKEN }
  object.s3.bucket.name = context.bucket
  const body = JSON.stringify({ Records: [object] })
  const request = new Request('http://webhook/ceph', { method: 'POST', body })
  expect((await createWebhook(context).fetch(request)).status).toBe(200)
}

/** Processes what is in the queue. */
async function processQueue() {
  const handler = createExtract(context)
  const bodies = await context.drain('runs')
  const Records = bodies.map((body, index) => ({ messageId: String(index), body: JSON.stringify(body) }))
  const answer = await handler({ Records } as never, { signal, log: context.log })
  expect(answer.batchItemFailures).toEqual([])
}

describe('a test of the notifications of a bucket', () => {
  test('states when each function had the notification, and leaves nothing behind', async () => {
    await apply('LNGS/')
    const following = followNotifications(context, { bucket: context.bucket, seconds: 300 }, signal)
    const { id } = await begun()
    await post(testObjectKey(id, { prefix: 'LNGS/', suffix: '.mid.gz' }))
    await processQueue()
    const [followed] = await following
    expect(followed).toMatchObject({
      key: `LNGS/cygnet-test-${id}.mid.gz`,
      receivedSeconds: expect.any(Number),
      processedSeconds: expect.any(Number),
      advice: null,
    })
    expect(await stored()).toEqual([])
    expect(await arrivals()).toEqual([])
    expect(await alerts()).toEqual([])
  })

  test('also of a store that sends to the queue itself', async () => {
    await apply('LNGS/')
    const following = followNotifications(context, { bucket: context.bucket, seconds: 300 }, signal)
    await begun()
    await until(async () => {
      await processQueue()
      return (
        (await context.database.selectFrom('notificationTests').selectAll().execute())[0]?.processedAt !==
        null
      )
    })
    expect(await following).toMatchObject([{ receivedSeconds: null, advice: null }])
  })

  test('of each rule that does not arrive states what to inspect, and removes its objects', async () => {
    await apply('LNGS/', 'LNF/')
    const followed = await followNotifications(context, { bucket: context.bucket, seconds: 0 }, signal)
    expect(
      followed.map(({ rule, processedSeconds, advice }) => [rule.prefix, processedSeconds, advice]),
    ).toEqual([
      ['LNGS/', null, expect.stringContaining(target())],
      ['LNF/', null, expect.stringContaining(target())],
    ])
    expect(await stored()).toEqual([])
  })

  test('is refused where no rule is ours, or where objects are ignored', async () => {
    const NotificationConfiguration = {
      QueueConfigurations: [{ Id: 'theirs', QueueArn: target(), Events: ['s3:ObjectCreated:*' as const] }],
    }
    await context.s3.send(
      new PutBucketNotificationConfigurationCommand({ Bucket: context.bucket, NotificationConfiguration }),
    )
    const follow = (bucket: string) => followNotifications(context, { bucket, seconds: 0 }, signal)
    await expect(follow(context.bucket)).rejects.toThrow('has no notifications of ours')
    await expect(follow('another-bucket')).rejects.toThrow('CYGNET_RAW_BUCKETS')
    expect(await stored()).toEqual([])
  })

  test('does nothing for a notification of an object that no test stored', async () => {
    await post('LNGS/cygnet-test-0b6e7f0e-9d3c-4f62-8b2e-0d6a1f3c5e77.mid.gz')
    await processQueue()
    expect(await context.database.selectFrom('notificationTests').selectAll().execute()).toEqual([])
    expect(await arrivals()).toEqual([])
  })

  test.each([false, true])(
    'that is killed at any of its requests (carried out: %s) leaves nothing behind after the next one',
    async (done) => {
      await apply('LNGS/')
      let days = 0
      const dayLater = () => new Date(Date.now() + days * 25 * 3_600_000)
      const follow = (of: Pick<TestContext, 'now' | 'database' | 's3'>) =>
        followNotifications({ ...context, ...of }, { bucket: context.bucket, seconds: 0 }, signal)
      let isLeft = false
      for (let point = 0; ; point++) {
        let hasDied = false
        const onAccident = () => {
          hasDied = true
        }
        const accident = { kind: 'dies', place: null, at: point, done } as const
        const call = beginCall({ name: 'test', begunAt: Date.now(), accident, pace: [], onAccident })
        await follow({ now: dayLater, ...processOf(call) }).catch(() => {})
        isLeft ||= (await stored()).length > 0
        days += 1
        await follow({ ...context, now: dayLater })
        expect(await stored()).toEqual([])
        // That of the last test; it goes a day later.
        expect(await context.database.selectFrom('notificationTests').selectAll().execute()).toHaveLength(1)
        if (!hasDied) break
      }
      expect(isLeft).toBe(true)
      expect([await arrivals(), await alerts()]).toEqual([[], []])
    },
  )

  test('removes no other object than those of tests that ended long ago', async () => {
    await apply('LNGS/')
    const uuid = '0b6e7f0e-9d3c-4f62-8b2e-0d6a1f3c5e77'
    const keys = [
      `LNGS/cygnet-test-${uuid}.mid.gz.bak`,
      `LNGS/cygnet-test-${uuid}-2.mid.gz`,
      'LNGS/cygnet-test-notes.mid.gz',
      'LNGS/run00001.mid.gz',
    ]
    for (const key of keys) await context.put(key, 'a test of notifications by Cygnet')
    await context.put(`LNGS/cygnet-test-${uuid}.mid.gz`, 'not of a test')
    const later = { ...context, now: () => new Date(Date.now() + 3 * 3_600_000) }
    await followNotifications(later, { bucket: context.bucket, seconds: 0 }, signal)
    expect((await stored()).map(({ key }) => key)).toEqual(
      [...keys, `LNGS/cygnet-test-${uuid}.mid.gz`].toSorted(),
    )
  })

  test('is noted once, however often the functions die after they noted it', async () => {
    await apply('LNGS/')
    const following = followNotifications(context, { bucket: context.bucket, seconds: 300 }, signal)
    const { id } = await begun()
    const key = testObjectKey(id, { prefix: 'LNGS/', suffix: '.mid.gz' })
    // The store and the queue deliver again what was not acknowledged.
    await post(key)
    const { receivedAt } = await begun()
    await post(key)
    const bodies = await context.drain('runs')
    const Records = bodies.map((body, index) => ({ messageId: String(index), body: JSON.stringify(body) }))
    for (const _ of [1, 2]) await createExtract(context)({ Records } as never, { signal, log: context.log })
    expect(await following).toMatchObject([{ advice: null }])
    expect((await begun()).receivedAt).toEqual(receivedAt)
    expect([await arrivals(), await alerts()]).toEqual([[], []])
  })
})
