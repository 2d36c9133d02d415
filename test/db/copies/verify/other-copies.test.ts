/** Which copies count when one is lost. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { verifyReplica } from '../../../../shared/copies/verify/verify.ts'
import type { Replica } from '../../../../shared/database/replica-schema.ts'
import { signal } from '../../../support/context.ts'
import { keyOf, startTapeWorld, type TapeWorld } from '../../../support/copies/tape-world.ts'
import { removeByHand } from '../../../support/deletions.ts'

let world: TapeWorld
let context: TapeWorld['context']
beforeEach(async () => {
  world = await startTapeWorld()
  ;({ context } = world)
})
afterEach(() => world.context.close())

const requestRecallOf = async (key: string) => {
  const cloud = (await world.replicas('cloud')).find(({ objectKey }) => objectKey === key)
  await requestRecall(
    context,
    { runNumber: cloud?.runNumber ?? 0 },
    { days: 3, requestedBy: 'test' },
    context.now(),
    signal,
  )
  return cloud as Replica
}

test('a recall of the missing object does not count as another copy', async () => {
  await context.putRun(keyOf(1), 'x')
  const cloud = await requestRecallOf(keyOf(1))
  await removeByHand(context, keyOf(1))
  await verifyReplica(context, cloud.id, { readBack: 'never', secondCheckMs: 1 }, signal, context.log)
  expect(await world.alerts()).toContain('last-copy-in-danger page')
})

test('a recall does not count as another copy when the copy to tape finds no source', async () => {
  const object = await context.putRun(keyOf(1), 'x')
  await world.request(object)
  await requestRecallOf(keyOf(1))
  await removeByHand(context, keyOf(1))
  await world.copy()
  expect(await world.alerts()).toContain('tape-source-gone page')
})
