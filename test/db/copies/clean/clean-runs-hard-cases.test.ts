/** Runs that cannot be deleted do not prevent the deletion of others. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadConfig } from '../../../../shared/config/config.ts'
import { cleanRuns } from '../../../../shared/copies/clean/clean-runs.ts'
import type { Replica } from '../../../../shared/database/replica-schema.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { signal } from '../../../support/context.ts'
import { keyOf, startTapeWorld, type TapeWorld } from '../../../support/copies/tape-world.ts'
import { DAY_MS, safeRun } from '../../../support/deletions.ts'
import type { FaultyTape } from '../../../support/faulty-tape.ts'
import type { TestTapeContext } from '../../../support/tape-context.ts'

let world: TapeWorld
let context: TapeWorld['context']
let tape: TapeWorld['tape']
let clock: TapeWorld['clock']
beforeEach(async () => {
  world = await startTapeWorld()
  ;({ context, tape, clock } = world)
})
afterEach(() => world.context.close())

const configured = (environment: Readonly<Record<string, string>>) => ({
  ...context,
  config: loadConfig({
    CYGNET_DATABASE_URL: context.catalogue.url,
    ...context.store.environment,
    ...environment,
  }),
})

const policy = { CYGNET_CLEAN_RUNS_AFTER_DAYS: '1' }
const clean = (environment: Readonly<Record<string, string>> = {}, on: Partial<TestTapeContext> = {}) =>
  cleanRuns(
    { ...configured({ ...policy, ...environment }), ...on },
    { dryRun: false, now: context.now() },
    signal,
    context.log,
  )
const addCopies = async (
  run: Awaited<ReturnType<typeof safeRun>>,
  count: number,
  changes: (index: number) => Partial<Replica>,
) => {
  await world.multiply({ ...run.cloud, storedAt: new Date(clock.time - 400 * DAY_MS) }, count, changes)
  await world.multiply(run.tape, count, changes)
}

test('many runs below a prefix that is protected with its bucket do not prevent the deletion of another', async () => {
  const run = await safeRun(context, keyOf(1))
  await addCopies(run, 201, (index) => ({ objectKey: keyOf(index, 'LAB') }))
  const result = await clean({ CYGNET_PROTECTED_PREFIXES: `${context.bucket}/LAB/` })
  expect(result.deleted).toMatchObject([{ runNumber: 1 }])
})

test('many runs in a bucket that is no longer one of raw runs do not prevent the deletion of another', async () => {
  const run = await safeRun(context, keyOf(1))
  await addCopies(run, 201, () => ({ bucket: 'former-bucket' }))
  expect((await clean()).deleted).toMatchObject([{ runNumber: 1 }])
})

test('runs whose copy on tape cannot be read prevent the deletion of another only twice', async () => {
  const runs = []
  for (const number of [1, 2, 3, 4]) runs.push(await safeRun(context, keyOf(number)))
  await context.database
    .updateTable('replicas')
    .set({ storedAt: new Date(clock.time - 9 * DAY_MS) })
    .where('runNumber', '<', 4)
    .where('kind', '=', 'cloud')
    .execute()
  const check: FaultyTape['check'] = async (file, ...more) => {
    if (file.runNumber < 4) throw new TransientError('a bad place on the medium')
    return await tape.check(file, ...more)
  }
  for (let times = 0; times < 2; times++)
    expect(await clean({}, { tape: { ...tape, check } })).toMatchObject({
      deleted: [],
      failed: [{}, {}, {}],
    })
  expect(await clean({}, { tape: { ...tape, check } })).toMatchObject({ deleted: [{ runNumber: 4 }] })
  clock.time += DAY_MS
  expect((await clean()).deleted).toHaveLength(3)
  expect(runs).toHaveLength(4)
})
