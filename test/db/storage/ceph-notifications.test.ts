/** The notifications of a bucket on a gateway of Ceph, which differs from AWS and MinIO. */
import { S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  applyBucketNotifications,
  planBucketNotifications,
  readBucketNotifications,
} from '../../../shared/storage/bucket-notifications.ts'
import { createTopic, describeTarget } from '../../../shared/storage/ceph.ts'
import { type CephServer, startCephServer } from '../../support/ceph-server.ts'
import { signal } from '../../support/context.ts'

const BUCKET = 'cygno-data'
const TENANT = 'infn'
/** As documented: without the tenant. */
const ARN = 'arn:aws:sns:default::cygnet'
const TOKEN = 'a-token-of-the-stores'
let ceph: CephServer
let s3: S3Client
beforeAll(async () => {
  ceph = await startCephServer(TENANT)
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
  s3 = new S3Client({ endpoint: ceph.origin, region: 'default', credentials, forcePathStyle: true })
})
afterAll(async () => {
  s3.destroy()
  await ceph.close()
})
beforeEach(async () => {
  ceph.rules.clear()
  ceph.topics.clear()
  await makeTopic('https://one.example/ceph')
  ceph.changes.length = 0
})

const makeTopic = (endpoint: string, opaqueData = TOKEN) =>
  createTopic(s3, 'cygnet', { endpoint, opaqueData }, signal)
const apply = (...prefixes: readonly string[]) =>
  applyBucketNotifications(s3, { bucket: BUCKET, arn: ARN, prefixes }, signal)
const targets = async (token: string | undefined = TOKEN) => {
  const rules = await readBucketNotifications(s3, BUCKET, signal)
  return await Promise.all(rules.map((rule) => describeTarget(s3, rule, token, signal)))
}

test('the rule of a topic is put again although nothing seems to have changed, so that a moved receiver gets the events', async () => {
  await apply()
  await makeTopic('https://two.example/ceph', 'a-rotated-token')
  expect(await targets()).toEqual([
    {
      endpoint: 'https://one.example/ceph',
      problem: expect.stringContaining('endpoint now https://two.example/ceph'),
    },
  ])
  expect(await apply()).toMatchObject({ changed: false, refreshed: true })
  expect(await targets('a-rotated-token')).toEqual([{ endpoint: 'https://two.example/ceph', problem: null }])
})

test('the ARN of a topic without its tenant is the same as the one that the store filled in', async () => {
  const { after } = await apply('LNGS/')
  expect(after.map(({ arn }) => arn)).toEqual([`arn:aws:sns:default:${TENANT}:cygnet`])
  expect(await apply('LNGS/')).toMatchObject({ changed: false })
})

test('rules that are replaced are deleted, so that no object is announced twice', async () => {
  await apply('LNGS/', 'LNF/')
  const { after } = await apply('MAN/')
  expect(after.map(({ prefix }) => prefix)).toEqual(['MAN/'])
  expect(await readBucketNotifications(s3, BUCKET, signal)).toEqual(after)
})

test('rules of others are neither put nor deleted', async () => {
  const theirs =
    '<Id>theirs</Id><Topic>arn:aws:sns:default:infn:other</Topic><Event>s3:ObjectRemoved:*</Event><Filter><S3Metadata><FilterRule><Name>x-amz-meta-a</Name><Value>b</Value></FilterRule></S3Metadata></Filter>'
  ceph.rules.set('theirs', theirs)
  await apply('LNGS/')
  await apply('LNF/')
  // Their topic does not exist: a request that put their rule would be refused.
  expect(ceph.rules.get('theirs')).toBe(theirs)
  expect(ceph.changes.filter((change) => change.includes('theirs'))).toEqual([])
})

test('a plan changes nothing, and states that the rule will be put again', async () => {
  await apply()
  ceph.changes.length = 0
  const plan = await planBucketNotifications(s3, { bucket: BUCKET, arn: ARN }, signal)
  expect(plan).toMatchObject({ changed: false, refreshed: true })
  expect(ceph.changes).toEqual([])
})

test('a topic with another token, or one that loses events, is a problem; no token is shown', async () => {
  await makeTopic(`https://one.example/ceph/${TOKEN}`, '')
  await apply()
  expect(await targets()).toEqual([{ endpoint: 'https://one.example/ceph/***', problem: null }])
  expect(await targets('another-token')).toEqual([
    { endpoint: 'https://one.example/ceph/***', problem: expect.stringContaining('are refused') },
  ])
  ceph.topics.set('cygnet', { endpoint: 'https://one.example/ceph', opaqueData: TOKEN, persistent: 'false' })
  await apply()
  expect(await targets()).toMatchObject([{ problem: expect.stringContaining('not persistent') }])
})

test('where a topic does not exist, nothing is applied', async () => {
  const wanted = { bucket: BUCKET, arn: 'arn:aws:sns:default::missing' }
  await expect(applyBucketNotifications(s3, wanted, signal)).rejects.toThrow()
  expect(ceph.rules.size).toBe(0)
})
