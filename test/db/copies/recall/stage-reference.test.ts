import { afterEach, beforeEach, expect, test } from 'vitest'
import { deleteCloudCopy } from '../../../../shared/copies/delete/delete-cloud-copy.ts'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { signal } from '../../../support/context.ts'
import { keyOf, startTapeWorld, type TapeWorld } from '../../../support/copies/tape-world.ts'
import { safeRun } from '../../../support/deletions.ts'
import type { FaultyTape } from '../../../support/faulty-tape.ts'
import { advanceRecall } from '../../../support/recalls.ts'

let world: TapeWorld
let context: TapeWorld['context']
let clock: TapeWorld['clock']
let tape: TapeWorld['tape']
beforeEach(async () => {
  world = await startTapeWorld()
  ;({ context, clock, tape } = world)
})
afterEach(() => world.context.close())

test('a recall stores the reference of its stage request in full, whatever its length, and continues with it', async () => {
  const run = await safeRun(context, keyOf(1))
  expect((await deleteCloudCopy(context, run.cloud, 'a test', signal)).kind).toBe('deleted')
  const { files } = await requestRecall(
    context,
    { runNumber: 1 },
    { days: 1, requestedBy: 'test' },
    context.now(),
    signal,
  )
  const reference = 'r'.repeat(300)
  const asked: (string | null)[] = []
  const stage: FaultyTape['stage'] = async (_, options) => {
    asked.push(options.reference)
    return { kind: 'staging', reference, reason: 'queued' }
  }
  const staging = { ...context, tape: { ...tape, stage } }
  const id = files[0]?.replicaId ?? 0
  expect(await advanceRecall(staging, id, signal, context.log)).toBe('staging')
  clock.time += 3_600_000
  expect(await advanceRecall(staging, id, signal, context.log)).toBe('staging')
  expect(asked).toEqual([null, reference])
})
