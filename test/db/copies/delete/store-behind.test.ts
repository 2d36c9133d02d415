/** The age of an object that may be deleted, in a store whose clock is behind. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deleteCloudCopy } from '../../../../shared/copies/delete/delete-cloud-copy.ts'
import { acceptTapeRequest } from '../../../../shared/copies/tape/tape-request.ts'
import { signal } from '../../../support/context.ts'
import { makeRun } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { copyNext } from '../../../support/tape-copies.ts'

const HOUR_MS = 3_600_000
/** 25 hours ahead of the clock by which the store dates its objects. */
let clockMs = Date.now() + 25 * HOUR_MS
let context: TestTapeContext
beforeAll(async () => {
  context = await startTestTapeContext({ now: () => new Date(clockMs) })
})
afterAll(() => context.close())

test('an object that arrived within a day is kept, although its store dates it earlier', async () => {
  const { tag, runNumber, key, sha256 } = await makeRun(context, 1)
  const { bucket } = context
  await context.database.updateTable('arrivals').set({ receivedAt: context.now() }).execute()
  await acceptTapeRequest(context, { tag, runNumber, bucket, key, sha256, priority: 'live' })
  await copyNext(context, signal, context.log)
  const remove = async () => {
    const copies = context.database.selectFrom('replicas').selectAll().where('kind', '=', 'cloud')
    return await deleteCloudCopy(context, await copies.executeTakeFirstOrThrow(), 'too full', signal)
  }
  clockMs += HOUR_MS
  expect(await remove()).toMatchObject({ kind: 'refused', code: 'young' })
  clockMs += 24 * HOUR_MS
  expect(await remove()).toMatchObject({ kind: 'deleted' })
})
