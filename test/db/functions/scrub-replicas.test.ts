import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createHandler } from '../../../functions/scrub-replicas/handler.ts'
import { TransientError } from '../../../shared/errors.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { signal } from '../../support/context.ts'
import { startVerifiedRuns, type VerifiedRuns } from '../../support/copies/verified-runs.ts'
import { recordingLog } from '../../support/runtime/recording-log.ts'

const HOUR = 3_600_000

let runs: VerifiedRuns
beforeAll(async () => {
  runs = await startVerifiedRuns()
})
afterAll(() => runs?.context.close())

let run = 50
let key: string
beforeEach(async () => {
  run += 1
  key = `LNGS/run000${run}.mid.gz`
  runs.time = Date.now()
  Object.assign(runs.tape, { fault: null, onMedia: true })
  for (const table of ['tombstones', 'replicas', 'reconciliations'] as const)
    await runs.context.database.deleteFrom(table).execute()
})

async function invoke(
  context: Parameters<typeof createHandler>[0] = runs.context,
  stop: AbortSignal = signal,
): Promise<readonly string[]> {
  const { log, lines } = recordingLog()
  const event = scheduledEvent('scrub-replicas', new Date(runs.time))
  await createHandler(context, { secondCheckMs: 1 })(event, { signal: stop, log })
  return lines.map((line) => String(line.event))
}

test('scrub-replicas verifies what is due every time, and searches every place once a day', async () => {
  await runs.put(key)
  await runs.context.database.updateTable('replicas').set({ checkedAt: null }).execute()
  const first = await invoke()
  expect(first.filter((event) => event === 'dark-copies')).toHaveLength(2)
  expect(first.filter((event) => event === 'copy-verified')).toHaveLength(2)
  expect(first.at(-1)).toBe('copies-scrubbed')
  runs.time += HOUR
  expect(await invoke()).toEqual(['copies-scrubbed'])
  runs.time += 23 * HOUR
  expect((await invoke()).filter((event) => event === 'dark-copies')).toHaveLength(2)
})

test('a place that cannot be listed does not prevent the search of others or the scrub, and the run fails', async () => {
  await runs.put(key)
  writeFileSync(join(runs.context.tapeFolder, 'stray'), 'x')
  await runs.context.database.updateTable('replicas').set({ checkedAt: null }).execute()
  const config = {
    ...runs.context.config,
    store: {
      ...runs.context.config.store,
      rawBuckets: ['no-such-bucket', ...runs.context.config.store.rawBuckets],
    },
  }
  await expect(invoke({ ...runs.context, config })).rejects.toThrow()
  expect(await runs.replica(key, 'cloud')).toMatchObject({ checkedAt: new Date(runs.time) })
  expect(await runs.context.database.selectFrom('darkObjects').select('name').execute()).toContainEqual({
    name: 'stray',
  })
})

test('a place that takes the whole time of a run waits for the next day, so that the scrub gets its time', async () => {
  const config = { ...runs.context.config, store: { ...runs.context.config.store, rawBuckets: [] } }
  const stop = new AbortController()
  const list: NonNullable<typeof runs.tape.list> = async function* (_prefix, held) {
    stop.abort(new TransientError('not finished within 900 s'))
    held.throwIfAborted()
    yield { name: 'never', sizeBytes: 0 }
  }
  const context = { ...runs.context, config, tape: { ...runs.tape, list } }
  expect(await invoke(context, stop.signal)).toEqual(['place-not-searched', 'copies-scrubbed'])
  runs.time += HOUR
  expect(await invoke(context)).toEqual(['copies-scrubbed'])
})

test('a place that is interrupted after others were searched is searched again by the next run', async () => {
  const stop = new AbortController()
  const list: NonNullable<typeof runs.tape.list> = async function* (_prefix, held) {
    stop.abort(new TransientError('not finished within 900 s'))
    held.throwIfAborted()
    yield { name: 'never', sizeBytes: 0 }
  }
  const context = { ...runs.context, tape: { ...runs.tape, list } }
  expect(await invoke(context, stop.signal)).toEqual(['dark-copies', 'place-not-searched', 'copies-scrubbed'])
  runs.time += HOUR
  expect(await invoke()).toEqual(['dark-copies', 'copies-scrubbed'])
})

test('a run whose time is over before it starts fails nothing', async () => {
  await runs.put(key)
  expect(await invoke(runs.context, AbortSignal.abort(new Error('over')))).toEqual(['copies-scrubbed'])
})

test('runs without any copy on tape are alerted once a tag and day, also where no tape driver is configured', async () => {
  await runs.put(key)
  const { database } = runs.context
  await database.deleteFrom('tasks').execute()
  await database.deleteFrom('replicas').where('kind', '=', 'tape').execute()
  const id = database.selectFrom('runFiles').select('runId').where('objectKey', '=', key)
  await database.updateTable('runs').set({ tape: 'none' }).where('id', '=', id).execute()
  const others = database.updateTable('runs').set({ isHistory: true })
  await others.where('id', 'not in', id).execute()
  const context = { ...runs.context, tape: null }
  const alerts = async () =>
    (await runs.context.drain('alerts')).filter(({ rule }) => rule === 'no-copy-on-tape')
  await invoke(context)
  expect(await alerts()).toEqual([])
  runs.time += 25 * HOUR
  await invoke(context)
  await invoke(context)
  expect(await alerts()).toMatchObject([
    {
      tag: 'LNGS',
      severity: 'error',
      summary: expect.stringMatching(/^1 run of LNGS without any copy on tape 24 h/),
    },
  ])
})
