import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { setTakeOver } from '../../../shared/catalogue/take-over.ts'
import { alertAwaitedFiles } from '../../../shared/ingest/awaited-files.ts'
import { takeLoggedRuns } from '../../../shared/ingest/logged-runs.ts'
import { alertLines, drainRaised } from '../../support/alerts.ts'
import { record } from '../../support/catalogue.ts'
import { signal, startTestContext, type TestContext } from '../../support/context.ts'
import { metadataOf, versionOf } from '../../support/metadata.ts'

let context: TestContext
beforeAll(async () => {
  context = await startTestContext()
})
afterAll(() => context.close())

const log = (tag: string, run: number, start: string | null, stop: string | null) =>
  sql`INSERT INTO Runlog (tag, run_number, start_time, stop_time)
    VALUES (${tag}, ${run}, ${start}, ${stop})`.execute(context.database)

test('runs without a file a day after they ended are reported, once a tag and day', async () => {
  await log('LNGS', 1, '2026-01-01 10:00:00', '2026-01-01 10:10:00') // a week ago and more
  await log('LNGS', 2, '2026-01-10 10:00:00', '2026-01-10 10:10:00')
  await log('LNGS', 3, '2026-01-10 10:20:00', null) // the logger never saw its end
  await log('LNGS', 4, '2026-01-10 23:50:00', '2026-01-11 12:50:00') // ended within the day
  await log('LNF', 2, '2026-01-11 12:00:00', null) // may still be taken
  await log('MAN', 5, '2026-01-10 10:00:00', '2026-01-10 10:10:00')
  const startedAt = Date.parse('2026-01-10T09:00:00Z') / 1000
  const odb = { start_time: '2026-01-10 10:00:00' }
  await takeLoggedRuns(context)
  await record(context.database, versionOf('MAN/run00005.mid.gz', 'e'), metadataOf(5, { startedAt, odb }), {
    tag: 'MAN',
  })
  const alertsAt = async (now: string) => {
    await alertAwaitedFiles({ ...context, now: () => new Date(now) }, signal)
    return await drainRaised(context)
  }
  expect(await alertsAt('2026-01-11T12:00:00Z')).toMatchObject([
    {
      rule: 'file-awaited',
      tag: 'LNGS',
      summary: "runs of LNGS that the DAQ's logger wrote down have no file a day after they ended: 2, 3",
    },
  ])
  expect(await alertsAt('2026-01-11T13:00:00Z')).toEqual([])
  expect(await alertsAt('2026-01-12T13:00:00Z')).toMatchObject([
    { tag: 'LNGS', summary: expect.stringMatching(/: 2, 3, 4$/) },
    { tag: 'LNF' },
  ])
  const arrived = (runNumber: number, begin: string) =>
    record(
      context.database,
      versionOf(`LNGS/run0000${runNumber}.mid.gz`, 'e'),
      metadataOf(runNumber, {
        startedAt: Date.parse(`${begin.replace(' ', 'T')}Z`) / 1000 - 3600,
        odb: { start_time: begin },
      }),
      { tag: 'LNGS' },
    )
  const ended = async (now: string) => {
    await alertsAt(now)
    return (await alertLines(context.database)).filter((line) => line.startsWith('resolve'))
  }
  await arrived(2, '2026-01-10 10:00:00')
  await arrived(4, '2026-01-10 23:50:00')
  // The third is too old to be reported again, and has no file still.
  expect(await ended('2026-01-19T13:00:00Z')).toEqual([])
  await arrived(3, '2026-01-10 10:20:00')
  expect(await ended('2026-01-19T13:05:00Z')).toEqual(['resolve file-awaited LNGS'])
  expect(await ended('2026-01-19T13:10:00Z')).toEqual(['resolve file-awaited LNGS'])
})

test('runs without a start are reported by the age of their row, and runs whose number was reused never', async () => {
  const known = new Date('2026-02-10T10:00:00Z')
  const metadata = metadataOf(7, { startedAt: Date.parse('2026-02-10T11:00:00Z') / 1000 })
  await log('LNF', 6, null, null)
  await log('LNF', 7, '2026-02-10 11:00:00', null)
  await takeLoggedRuns({ ...context, now: () => known })
  await record(context.database, versionOf('LNF/run00007.mid.gz', 'e'), metadata, { tag: 'LNF' })
  await alertAwaitedFiles({ ...context, now: () => new Date('2026-02-11T12:00:00Z') }, signal)
  expect(await drainRaised(context)).toMatchObject([{ tag: 'LNF', summary: expect.stringMatching(/: 6$/) }])
})

test('runs of an old Runlog that began before the take-over time of their tag are not reported', async () => {
  const known = new Date('2026-03-10T10:00:00Z')
  await setTakeOver(context.database, 'OLD', new Date('2026-03-09T00:00:00Z'), { at: known })
  await log('OLD', 1, null, null)
  await log('OLD', 2, '2026-03-08 10:00:00', '2026-03-08 11:00:00')
  await log('OLD', 3, null, null)
  await log('OLD', 4, '2026-03-09 10:00:00', '2026-03-09 11:00:00')
  await takeLoggedRuns({ ...context, now: () => known })
  await alertAwaitedFiles({ ...context, now: () => new Date('2026-03-11T12:00:00Z') }, signal)
  const alerts = (await drainRaised(context)).filter(({ tag }) => tag === 'OLD')
  // Run 1 has no begin, and run 2 after it is old.
  expect(alerts).toMatchObject([{ summary: expect.stringMatching(/: 3, 4$/) }])
})

test('a run that the logger writes down now does not wait until an old Runlog of thousands was read in', async () => {
  await sql`INSERT INTO Runlog (tag, run_number, logged_at)
    SELECT 'ARCHIVE', seq, '2026-03-01 00:00:00' FROM seq_1_to_1500`.execute(context.database)
  await log('NEW', 1, '2026-04-01 10:00:00', null)
  await takeLoggedRuns(context)
  const runs = context.database.selectFrom('runs').select('runNumber')
  expect(await runs.where('tag', '=', 'NEW').execute()).toHaveLength(1)
  expect((await runs.where('tag', '=', 'ARCHIVE').execute()).length).toBeLessThan(1500)
})
