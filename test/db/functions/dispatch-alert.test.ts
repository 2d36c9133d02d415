/** Alerts are shown whatever their messages contain, and without any. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createHandler as createDispatcher } from '../../../functions/dispatch-alert/handler.ts'
import { createHandler as createWatch } from '../../../functions/watch/handler.ts'
import { foldAlerts } from '../../../shared/alerts/episodes.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { alert } from '../../../shared/work/raise-alert.ts'
import { type AlertContext, createTestClock, startAlertContext } from '../../support/alerts/alert-context.ts'
import { createMemoryChannel } from '../../support/alerts/memory-channel.ts'
import { signal } from '../../support/context.ts'

const clock = createTestClock()
const memory = createMemoryChannel({ now: clock.now })
let context: AlertContext
beforeAll(async () => {
  context = (await startAlertContext(clock)).with([memory.channel])
})
afterAll(() => context?.close())
beforeEach(async () => {
  await context.clear()
  memory.clear()
})

const full = () => alert({ rule: 'store-is-full', severity: 'error', summary: 'the store is full' })
const received = (...bodies: readonly string[]) => ({
  Records: bodies.map((body, index) => ({ messageId: String(index), body })),
})
const dispatch = (event: object) =>
  createDispatcher(context)(event as Parameters<ReturnType<typeof createDispatcher>>[0], {
    signal,
    log: context.log,
  })

test('a message that cannot be read wakes dispatch-alert like any other, and is not delivered again', async () => {
  await context.raise(full())
  expect(await dispatch(received('{', '', 'null'))).toEqual({ batchItemFailures: [] })
  expect(memory.messages()).toHaveLength(1)
})

test('a message is delivered again when the catalogue cannot be reached', async () => {
  await context.raise(full())
  const broken = {
    ...context,
    database: new Proxy(context.database, {
      get() {
        throw new Error('the database is down')
      },
    }),
  }
  await expect(
    createDispatcher(broken)(received('{}') as never, { signal, log: context.log }),
  ).rejects.toThrow('the database is down')
  await dispatch(received('{}'))
  expect(memory.messages()).toHaveLength(1)
})

test('an alert whose message was lost is shown by the schedule', async () => {
  await context.raise(full())
  await createWatch(context)(scheduledEvent('watch', clock.now()), { signal, log: context.log })
  expect(memory.messages()).toHaveLength(1)
})

test('what is known is shown although new requests cannot be folded', async () => {
  await context.raise(full())
  await foldAlerts(context)
  await context.raise(full())
  const broken = {
    ...context,
    database: new Proxy(context.database, {
      get(target, property) {
        const found: unknown = Reflect.get(target, property)
        if (property !== 'selectFrom') return typeof found === 'function' ? found.bind(target) : found
        return (table: string) => {
          if (table === 'outbox') throw new Error('the outbox cannot be read')
          return target.selectFrom(table as 'alerts')
        }
      },
    }),
  }
  const dispatcher = createDispatcher(broken)
  await expect(dispatcher(received('{}') as never, { signal, log: context.log })).rejects.toThrow('outbox')
  expect(memory.messages()).toHaveLength(1)
})
