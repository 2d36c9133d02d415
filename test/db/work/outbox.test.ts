/** Requests left behind in the outbox: a queue that fails, or does not answer, holds up no other. */
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import type { QueueName, Queues } from '../../../shared/queue/queues.ts'
import { addRequests, flushOutbox } from '../../../shared/work/outbox.ts'
import { alert } from '../../../shared/work/raise-alert.ts'
import { startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'

let catalogue: TestCatalogue
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())
beforeEach(() => catalogue.database.deleteFrom('outbox').execute())

const HOUR_AGO = new Date(Date.now() - 3_600_000)
const alertOf = (cause: string) => alert({ rule: 'invalid-file', severity: 'error', summary: cause, cause })
const addAlerts = (prefix: string, count: number) =>
  addRequests(
    catalogue.database,
    Array.from({ length: count }, (_, index) => alertOf(`${prefix}${index}`)),
    HOUR_AGO,
  )
const flush = (send: (queue: string, bodies: readonly string[]) => Promise<void>) =>
  flushOutbox(
    catalogue.database,
    { send } as Partial<Queues> as Queues,
    { olderThan: new Date() },
    AbortSignal.timeout(60_000),
  )
const unsent = async () =>
  (await catalogue.database.selectFrom('outbox').select('id').where('sentAt', 'is', null).execute()).length

test('however many requests a failing queue has, those of the other queues are sent', async () => {
  await addAlerts('unsendable', 600)
  const failing: QueueName = 'reco-requests'
  await catalogue.database.updateTable('outbox').set({ queue: failing }).execute()
  await addAlerts('fits', 1)
  const sent: string[] = []
  const send = async (queue: string, bodies: readonly string[]) => {
    if (queue === failing) throw new Error('the queue does not exist')
    sent.push(...bodies)
  }
  await expect(flush(send)).rejects.toThrow('the queue does not exist')
  expect(sent).toHaveLength(1)
  expect(await unsent()).toBe(600)
})

test('a message that can never be sent does not block the others of its queue', async () => {
  await addAlerts('x', 25)
  const send = async (_queue: string, bodies: readonly string[]) => {
    if (bodies.some((body) => body.includes('"x12"'))) throw new Error('refused')
  }
  await expect(flush(send)).rejects.toThrow('refused')
  expect(await unsent()).toBe(1)
})

test('a queue that does not answer is asked only until its time is over', async () => {
  await addAlerts('y', 40)
  let elapsed = 0
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => elapsed)
  onTestFinished(() => clock.mockRestore())
  let calls = 0
  const send = async () => {
    calls++
    elapsed += 20_000
    throw new Error('no answer')
  }
  await expect(flush(send)).rejects.toThrow('no answer')
  expect(calls).toBe(1)
  expect(await unsent()).toBe(40)
})

test('a request that was written while the clock of the database was days ahead is sent, one of this moment not yet', async () => {
  const inTwoDays = new Date(Date.now() + 2 * 86_400_000)
  await addRequests(catalogue.database, [alertOf('ahead')], inTwoDays)
  await addRequests(catalogue.database, [alertOf('now')], new Date(Date.now() + 20_000))
  expect(await flush(async () => {})).toBe(1)
  expect(await unsent()).toBe(1)
})
