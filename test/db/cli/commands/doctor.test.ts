/** The first write of `cygnet doctor`, on a store that takes everything and on others that refuse something. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { checkStore } from '../../../../cli/doctor/check-store.ts'
import { startTestStore, type TestStore } from '../../../../infra/local/testing.ts'
import { loadConfig } from '../../../../shared/config/config.ts'
import { createS3Client } from '../../../../shared/storage/client.ts'
import { listObjects } from '../../../../shared/storage/objects.ts'
import { type AlteringProxy, startAlteringProxy, unaltered } from '../../../support/altering-proxy.ts'
import { signal } from '../../../support/context.ts'

let store: TestStore
let proxy: AlteringProxy
beforeAll(async () => {
  store = await startTestStore()
  proxy = await startAlteringProxy(store.environment.CYGNET_S3_ENDPOINT)
})
afterAll(() => proxy.close())
beforeEach(() => {
  proxy.alter = unaltered
})

const configOf = (more: Readonly<Record<string, string>> = {}) =>
  loadConfig({
    CYGNET_DATABASE_URL: 'mysql://none@localhost/none',
    ...store.environment,
    CYGNET_RAW_BUCKETS: store.bucket,
    CYGNET_S3_ENDPOINT: proxy.origin,
    ...more,
  })
const objects = async () => {
  const s3 = createS3Client(configOf())
  const where = { bucket: store.bucket, prefix: '', startAfter: null }
  return (await listObjects(s3, where, signal)).objects.map(({ key }) => key)
}

test('a store that takes an object passes, and nothing is left there', async () => {
  expect(await checkStore(configOf())).toMatchObject([
    { name: 'store', ok: true, remedy: null },
    { name: 'clock of the store', ok: true },
  ])
  expect(await objects()).toEqual([])
})

test('a store that refuses the checksums of the SDK is found, with the setting that helps', async () => {
  proxy.alter = (answer, { method, headers }) => {
    if (method !== 'PUT' || headers['x-amz-trailer'] === undefined) return
    answer.status = 411
    answer.body = Buffer.alloc(0)
  }
  const [finding] = await checkStore(configOf({ CYGNET_S3_SDK_CHECKSUMS: 'WHEN_SUPPORTED' }))
  expect(finding).toMatchObject({
    ok: false,
    required: true,
    found: expect.stringMatching(/PutObject of .*TMP\/cygnet-doctor-.*411/),
    remedy: expect.stringContaining('CYGNET_S3_SDK_CHECKSUMS=WHEN_REQUIRED'),
  })
  expect(await checkStore(configOf())).toMatchObject([{ ok: true }, { ok: true }])
})

test.each([
  ['behind', -4],
  ['ahead of', 4],
] as const)('a store whose clock is %s this machine’s is reported', async (where, minutes) => {
  proxy.alter = (answer) => {
    answer.headers.date = new Date(Date.now() + minutes * 60_000).toUTCString()
  }
  expect(await checkStore(configOf())).toMatchObject([
    { name: 'store', ok: true },
    { name: 'clock of the store', ok: false, found: expect.stringContaining(`4 minutes ${where}`) },
  ])
})

test('a bucket that does not exist is reported, without a setting that would not help', async () => {
  const config = configOf({ CYGNET_RAW_BUCKETS: 'no-such-bucket', CYGNET_S3_SDK_CHECKSUMS: 'WHEN_SUPPORTED' })
  const [finding] = await checkStore(config)
  expect(finding).toMatchObject({ ok: false, found: expect.stringContaining('no-such-bucket') })
  expect(finding?.remedy).not.toContain('SDK_CHECKSUMS')
})
