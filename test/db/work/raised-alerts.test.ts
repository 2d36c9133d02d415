/** What lasts is counted once a day and ends once: requests and episodes are asked, not the memory of a process. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { inTransaction } from '../../../shared/database/connect.ts'
import { raiseDaily, raisedOf, resolveRaised } from '../../../shared/work/raised-alerts.ts'
import { alertLines, asEpisodes } from '../../support/alerts.ts'
import { startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'

let catalogue: TestCatalogue
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())
beforeEach(async () => {
  for (const table of ['outbox', 'alerts'] as const) await catalogue.database.deleteFrom(table).execute()
})

const condition = { rule: 'dark-copies', subject: 's3://cygno-data' } as const
const raise = (day: string, subject: string = condition.subject) =>
  raiseDaily(
    catalogue.database,
    { ...condition, subject, severity: 'warning', summary: 'found' },
    new Date(`${day}T12:00:00Z`),
  )
const end = () =>
  resolveRaised(catalogue.database, [{ ...condition, summary: 'none' }], new Date('2026-03-01T13:00:00Z'))
const lines = () => alertLines(catalogue.database)
const RAISE = 'raise dark-copies s3://cygno-data'
const RESOLVE = 'resolve dark-copies s3://cygno-data'

test('a condition that lasts counts once a day, and at once again when it returns after its end', async () => {
  for (const day of ['2026-03-01', '2026-03-01', '2026-03-02']) await raise(day)
  expect(await lines()).toEqual([RAISE, RAISE])
  await end()
  await raise('2026-03-02')
  await raise('2026-03-02')
  expect(await lines()).toEqual([RAISE, RAISE, RESOLVE, RAISE])
})

test('an end is written only for what is raised: a request that waits, or an open episode', async () => {
  await raise('2026-03-01', 'davs://tape.example')
  expect(await end()).toEqual([])
  await raise('2026-03-01')
  expect(await end()).toHaveLength(1)
  expect(await end()).toEqual([])
  await asEpisodes(catalogue.database)
  expect(await end()).toEqual([])
  await raise('2026-03-02')
  await asEpisodes(catalogue.database)
  expect(await end()).toHaveLength(1)
  expect(await end()).toEqual([])
  await asEpisodes(catalogue.database)
  expect(await end()).toEqual([])
  expect((await lines()).filter((line) => line.startsWith('resolve'))).toEqual([RESOLVE, RESOLVE])
})

test('an end that is written with what ends the condition is lost with it, and written by the repetition', async () => {
  await raise('2026-03-01')
  const ended = [{ ...condition, summary: 'none' }] as const
  const dies = inTransaction(catalogue.database, async (trx) => {
    await resolveRaised(trx, ended, new Date('2026-03-01T13:00:00Z'))
    throw new Error('killed')
  })
  await expect(dies).rejects.toThrow('killed')
  expect(await lines()).toEqual([RAISE])
  expect(await end()).toHaveLength(1)
})

test('what is raised of a rule is listed once, whether it is a request or an episode by now', async () => {
  const first = { subject: condition.subject, tag: null, since: new Date('2026-03-01T12:00:00Z') }
  await raise('2026-03-01')
  expect(await raisedOf(catalogue.database, 'dark-copies')).toEqual([first])
  await asEpisodes(catalogue.database)
  await raise('2026-03-02')
  expect(await raisedOf(catalogue.database, 'dark-copies')).toEqual([first])
  expect(await raisedOf(catalogue.database, 'listing-fails')).toEqual([])
  await end()
  await asEpisodes(catalogue.database)
  expect(await raisedOf(catalogue.database, 'dark-copies')).toEqual([])
})
