import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHandler } from '../../../functions/clean-buffer/handler.ts'
import { loadConfig } from '../../../shared/config/config.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { signal } from '../../support/context.ts'
import { inTwoDays, isStored, safeRun, withInterference } from '../../support/deletions.ts'
import { eventually } from '../../support/stack.ts'
import { startTestTapeContext, type TestTapeContext } from '../../support/tape-context.ts'

let context: TestTapeContext
beforeAll(async () => {
  const started = await startTestTapeContext({ now: inTwoDays })
  const environment = {
    CYGNET_DATABASE_URL: started.catalogue.url,
    ...started.store.environment,
    CYGNET_CLEAN_RUNS_AFTER_DAYS: '1',
    CYGNET_EVENTS_UNSEEN_SECONDS: '1',
  }
  context = { ...started, config: loadConfig(environment) }
})
afterAll(() => context.close())

const run = (on = context) =>
  createHandler(on)(scheduledEvent('clean-buffer', new Date()), { signal, log: context.log })

test('clean-buffer cleans the buffer and the store by its schedule', async () => {
  const { key } = await safeRun(context, 'LNGS/run00001.mid.gz')
  await context.put('EVENTS/LNGS_1_1.dat', 'x')
  await run()
  expect(await isStored(context, key)).toBe(false)
  // Its age counts by the clock of the store, which is two days behind here.
  await eventually('the event is deleted', async () => {
    await run()
    return (await isStored(context, 'EVENTS/LNGS_1_1.dat')) ? null : true
  })
})

test('a buffer that cannot be listed does not prevent the cleaning of runs, and the function fails', async () => {
  const { key } = await safeRun(context, 'LNGS/run00002.mid.gz')
  const denied = Object.assign(new Error('no'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } })
  const other = withInterference(context, { at: 'ListObjectsV2Command', act: () => Promise.reject(denied) })
  await expect(run(other)).rejects.toMatchObject({ name: 'AccessDenied' })
  expect(await isStored(context, key)).toBe(false)
})
