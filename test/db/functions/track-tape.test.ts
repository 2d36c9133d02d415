/** A part of the schedule that fails does not stop the others. */
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createHandler as createTracker } from '../../../functions/track-tape/handler.ts'
import { TransientError } from '../../../shared/errors.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { signal } from '../../support/context.ts'
import { keyOf, startTapeWorld, type TapeWorld } from '../../support/copies/tape-world.ts'
import { until } from '../../support/waiting.ts'

let world: TapeWorld
let context: TapeWorld['context']
let clock: TapeWorld['clock']
beforeEach(async () => {
  world = await startTapeWorld()
  ;({ context, clock } = world)
})
afterEach(() => world.context.close())

test('a file whose name no endpoint can hold does not prevent the copies of other files', async () => {
  await context.putRun(keyOf(1), 'bad')
  // As catalogued before tags had an alphabet.
  for (const table of ['run_files', 'replicas'])
    await sql`UPDATE ${sql.table(table)} SET object_key = 'A\\\\B/run00001.mid.gz'`.execute(context.database)
  await context.putRun(keyOf(2), 'good')
  clock.time += 3_600_000
  await createTracker(context)(scheduledEvent('track-tape', new Date()), { signal, log: context.log })
  expect((await world.replicas('tape')).map(({ state, runNumber }) => [runNumber, state])).toEqual([
    [2, 'on-media'],
  ])
  expect(await world.alerts()).toContain('tape-copy-impossible error')
})

test('copies are made while the queue of the alerts is down', async () => {
  await world.request(await context.putRun(keyOf(1), 'x'))
  clock.time += 30 * 3_600_000
  const down = {
    ...context,
    queues: { ...context.queues, send: () => Promise.reject(new TransientError('the queue is down')) },
  }
  await createTracker(down)(scheduledEvent('track-tape', new Date()), { signal, log: context.log }).catch(
    () => {},
  )
  expect((await world.replicas('tape')).map(({ state }) => state)).toEqual(['on-media'])
})

test('copies are tried while the catalogue cannot be swept', async () => {
  await world.request(await context.putRun(keyOf(1), 'x'))
  const broken = new Proxy(context.database, {
    get(target, property) {
      const found: unknown = Reflect.get(target, property)
      if (property !== 'selectFrom') return typeof found === 'function' ? found.bind(target) : found
      return (table: string) => {
        if (table === 'runFiles') throw new TransientError('it takes too long')
        return target.selectFrom(table as 'replicas')
      }
    },
  })
  const tracker = createTracker({ ...context, database: broken })
  // findSource reads the table too and fails; the attempt shows that the copy was tried.
  await expect(
    tracker(scheduledEvent('track-tape', new Date()), { signal, log: context.log }),
  ).rejects.toThrow('too long')
  expect((await world.replicas('tape'))[0]).toMatchObject({ attempts: 1 })
})

test('a copy that takes long holds up neither the requests nor the following of others in the next runs', async () => {
  const tracker = createTracker(context)
  const run = () => tracker(scheduledEvent('track-tape', new Date()), { signal, log: context.log })
  world.tape.asynchronous = true
  await world.request(await context.putRun(keyOf(1), 'one'))
  await run()
  const states = async () => (await world.replicas('tape')).map(({ runNumber, state }) => [runNumber, state])
  expect(await states()).toEqual([[1, 'submitted']])
  const long = Promise.withResolvers<void>()
  world.tape.asynchronous = false
  world.tape.before = () => long.promise
  await world.request(await context.putRun(keyOf(2), 'two'))
  const first = run()
  await until(async () => (await states()).some(([number, state]) => number === 2 && state === 'copying'))
  await world.tape.work()
  clock.time += 3_600_000
  await context.putRun(keyOf(3), 'three')
  await run()
  expect(await states()).toEqual([
    [1, 'on-media'],
    [2, 'copying'],
    [3, 'requested'],
  ])
  long.resolve()
  await first
  await run()
  expect(await states()).toEqual([1, 2, 3].map((number) => [number, 'on-media']))
})
