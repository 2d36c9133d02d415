/** A gateway without its store answers 404 to everything: no object counts as deleted or missing because of that. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { deleteCloudCopy, settleDeletion } from '../../../../shared/copies/delete/delete-cloud-copy.ts'
import { type AlteringProxy, startAlteringProxy, unaltered } from '../../../support/altering-proxy.ts'
import { signal } from '../../../support/context.ts'
import {
  inTwoDays,
  isStored,
  replicaById,
  safeRun,
  tombstonesOf,
  withInterference,
} from '../../../support/deletions.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let proxy: AlteringProxy
beforeAll(async () => {
  proxy = await startAlteringProxy()
  context = await startTestTapeContext({
    now: inTwoDays,
    environment: { CYGNET_S3_ENDPOINT: proxy.origin },
  })
  proxy.target = String(context.store.environment.CYGNET_S3_ENDPOINT)
})
afterEach(() => {
  proxy.alter = unaltered
})
afterAll(() => Promise.all([context.close(), proxy.close()]))

const replaceStore = () => {
  proxy.alter = (answer) => {
    Object.assign(answer, { status: 404, headers: {}, body: Buffer.from('<html>404 Not Found</html>') })
  }
}

test('an object that a gateway does not find is neither missing nor deleted', async () => {
  const run = await safeRun(context, 'LNGS/run00001.mid.gz')
  replaceStore()
  await expect(deleteCloudCopy(context, run.cloud, 'a test', signal)).rejects.toThrow(
    'is it the right store?',
  )
  expect(await replicaById(context, run.cloud.id)).toMatchObject({ state: 'present', doubtedEvidence: null })
})

test('a deletion that a gateway answers with 404 is not recorded, and is found out later', async () => {
  const run = await safeRun(context, 'LNGS/run00002.mid.gz')
  const other = withInterference(context, {
    at: 'DeleteObjectCommand',
    act: async () => {
      replaceStore()
      throw Object.assign(new Error('404'), { name: 'NotFound', $metadata: { httpStatusCode: 404 } })
    },
  })
  await expect(deleteCloudCopy(other, run.cloud, 'a test', signal)).rejects.toThrow('is it the right store?')
  const isRecorded = async () =>
    (await replicaById(context, run.cloud.id)).state === 'deleted' ||
    (await tombstonesOf(context, run.cloud.id)).some(({ state }) => state === 'deleted')
  expect(await isRecorded()).toBe(false)
  const freed = { leaseOwner: null, leaseUntil: null }
  await context.database.updateTable('replicas').set(freed).where('id', '=', run.cloud.id).execute()
  await expect(settleDeletion(context, run.cloud, signal)).rejects.toThrow('is it the right store?')
  expect(await isRecorded()).toBe(false)
  proxy.alter = unaltered
  await context.database.updateTable('replicas').set(freed).where('id', '=', run.cloud.id).execute()
  await settleDeletion(context, run.cloud, signal)
  expect(await isStored(context, run.key)).toBe(true)
  expect(await replicaById(context, run.cloud.id)).toMatchObject({ state: 'present' })
})
