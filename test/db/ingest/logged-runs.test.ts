import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { recordInvalid } from '../../../shared/catalogue/record-file.ts'
import { takeLoggedRuns } from '../../../shared/ingest/logged-runs.ts'
import { createLogger } from '../../../shared/log.ts'
import { neighboursOf } from '../../../shared/queries/neighbours.ts'
import { runDetailsView } from '../../../shared/queries/run-view.ts'
import { describeRun, findRuns } from '../../../shared/queries/runs.ts'
import { searchRuns } from '../../../shared/queries/search-runs.ts'
import {
  copyToTape,
  leaseOn,
  record,
  runlogRow,
  startTestCatalogue,
  type TestCatalogue,
} from '../../support/catalogue.ts'
import { BEGIN_OF_RUN, metadataOf, versionOf } from '../../support/metadata.ts'

let catalogue: TestCatalogue
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())

const log = createLogger({ function: 'test', level: 'silent' })
let run = 500
let key: string
beforeEach(() => {
  run++
  key = `LNGS/run${String(run).padStart(5, '0')}.mid.gz`
})

/** What mlogger writes at the begin of run. */
const logBegin = (start = '2023-12-14 23:33:17') =>
  sql`INSERT INTO Runlog (tag, run_number, run_description, start_time, exposure_sec, GEM3_V, pedestal_run)
    VALUES ('LNGS', ${run}, 'by the logger', ${start}, 0.5, 440, 1)`.execute(catalogue.database)
const logEnd = () =>
  sql`UPDATE Runlog SET stop_time = '2023-12-14 23:34:17', number_of_events = 33, storage_local_status = 0
    WHERE tag = 'LNGS' AND run_number = ${run}`.execute(catalogue.database)
const logStart = (start: string) =>
  sql`UPDATE Runlog SET start_time = ${start} WHERE tag = 'LNGS' AND run_number = ${run}`.execute(
    catalogue.database,
  )
const alertsOf = async () => {
  const alerts = await catalogue.database
    .selectFrom('outbox')
    .select('name')
    .where('name', 'like', `alert:%:LNGS/${run}/%`)
    .execute()
  return alerts.map(({ name }) => name)
}
const adopt = () => takeLoggedRuns({ database: catalogue.database, now: () => new Date(), log })
const usesOf = () => findRuns(catalogue.database, { runNumber: run })
const onlyUse = async () => {
  const [use, ...more] = await usesOf()
  if (use === undefined || more.length > 0) throw new Error('not one use of the number')
  return use
}

test('a Runlog row of the logger becomes a run without a file, once', async () => {
  await logBegin()
  expect(await adopt()).toBe(1)
  expect(await adopt()).toBe(0)
  expect(await onlyUse()).toMatchObject({
    isCurrent: true,
    complete: false,
    fileCount: 0,
    startedEpoch: BEGIN_OF_RUN,
    startedAt: new Date(BEGIN_OF_RUN * 1000),
    stoppedAt: null,
    pedestal: true,
    description: 'by the logger',
    problem: 'no file of this run has arrived yet',
    cloud: 'absent',
    tape: 'none',
  })
  expect(await runlogRow(catalogue.database, run)).toMatchObject({
    run_description: 'by the logger',
    exposure_sec: 0.5,
    GEM3_V: 440,
    file_size: -1,
    storage_cloud_status: -1,
  })
})

test('a run without a file is described, found and has neighbours', async () => {
  await logBegin()
  await adopt()
  const use = await onlyUse()
  const view = runDetailsView(await describeRun(catalogue.database, use), [use])
  expect(view).toMatchObject({ fileCount: 0, files: [], banks: [], events: [] })
  const order = { by: 'run', descending: true } as const
  const search = { tags: '*', conditions: { from: run }, order, after: null, limit: 10 } as const
  expect((await searchRuns(catalogue.database, search)).runs.map((found) => found.id)).toEqual([use.id])
  expect(
    await neighboursOf(catalogue.database, { tag: 'LNGS', runNumber: run - 1 }, new Date()),
  ).toMatchObject({
    after: run,
    latest: run,
  })
})

test('the end of run that the logger writes later reaches a run without a file, once', async () => {
  await logBegin()
  await adopt()
  await logEnd()
  expect(await adopt()).toBe(1)
  expect(await adopt()).toBe(0)
  const use = await onlyUse()
  expect(use.stoppedAt).toEqual(new Date((BEGIN_OF_RUN + 60) * 1000))
  expect(use.parameters.number_of_events).toBe(33)
  expect((await runlogRow(catalogue.database, run))?.storage_local_status).toBe(0)
})

test('a file joins the run of the logger, and its values come before the logger’s', async () => {
  await logBegin()
  await adopt()
  expect(await record(catalogue.database, versionOf(key, 'e'), metadataOf(run))).toMatchObject({
    reused: false,
    requests: expect.not.arrayContaining([expect.objectContaining({ queue: 'alerts' })]),
  })
  expect(await onlyUse()).toMatchObject({ fileCount: 1, complete: true, problem: null, description: 'test' })
  expect(await runlogRow(catalogue.database, run)).toMatchObject({
    run_description: 'test',
    exposure_sec: 0.3,
    GEM3_V: 440,
  })
})

test('a file that arrives before the row was adopted keeps what only the logger wrote', async () => {
  await logBegin()
  await logEnd()
  const metadata = metadataOf(run, { odb: {}, startedAt: null, stoppedAt: null })
  await record(catalogue.database, versionOf(key, 'e'), metadata)
  expect(await adopt()).toBe(0)
  const use = await onlyUse()
  expect(use).toMatchObject({ fileCount: 1, startedEpoch: BEGIN_OF_RUN, description: 'by the logger' })
  expect(use.startedAt).toEqual(new Date(BEGIN_OF_RUN * 1000))
  expect(await runlogRow(catalogue.database, run)).toMatchObject({ GEM3_V: 440, number_of_events: 33 })
  const { rows } = await sql<{ at: string }>`SELECT CAST(start_time AS CHAR) AS at FROM Runlog
    WHERE run_number = ${run}`.execute(catalogue.database)
  expect(rows[0]?.at).toBe('2023-12-14 23:33:17')
})

test('a file with another begin of run is another generation, and the logger’s run is kept', async () => {
  await logBegin('2023-12-13 10:00:00')
  await record(catalogue.database, versionOf(key, 'e'), metadataOf(run))
  const uses = await usesOf()
  expect(uses.map((use) => [use.isCurrent, use.description, use.fileCount])).toEqual([
    [true, 'test', 1],
    [false, 'by the logger', 0],
  ])
  expect((await runlogRow(catalogue.database, run))?.GEM3_V).toBeNull()
})

test('a run is one although its file arrives while its row is adopted by two workers', async () => {
  await logBegin()
  await Promise.all([adopt(), record(catalogue.database, versionOf(key, 'e'), metadataOf(run)), adopt()])
  expect(await onlyUse()).toMatchObject({ fileCount: 1, complete: true, isCurrent: true, problem: null })
  expect(await runlogRow(catalogue.database, run)).toMatchObject({ GEM3_V: 440, file_size: 1007 })
})

describe('a number that is used again', () => {
  const dropFirst = async () => {
    const odb = { ...metadataOf(run).odb, run_description: 'the first', stop_time: '2023-12-13 11:00:00' }
    const first = { odb: { ...odb, start_time: '2023-12-13 10:00:00' }, startedAt: BEGIN_OF_RUN - 48_797 }
    await record(catalogue.database, versionOf(key, 'first'), metadataOf(run, first, 'first'))
  }

  beforeEach(async () => {
    await dropFirst()
    // The row exists: mlogger updates the columns of its links.
    await sql`UPDATE Runlog SET run_description = 'by the logger', start_time = '2023-12-14 23:33:17', GEM3_V = 440
      WHERE tag = 'LNGS' AND run_number = ${run}`.execute(catalogue.database)
  })

  test('is another run as soon as the logger writes it, and current once its file has arrived', async () => {
    const { file_checksum } = (await runlogRow(catalogue.database, run)) ?? {}
    expect(file_checksum).toEqual(expect.any(String))
    expect(await adopt()).toBe(1)
    expect(await adopt()).toBe(0)
    expect((await usesOf()).map((use) => [use.isCurrent, use.description, use.fileCount])).toEqual([
      [true, 'the first', 1],
      [false, 'by the logger', 0],
    ])
    expect(await runlogRow(catalogue.database, run)).toMatchObject({
      run_description: 'by the logger',
      exposure_sec: 0.3,
      GEM3_V: 440,
      stop_time: null,
      number_of_events: null,
      file_size: 1005,
      file_checksum,
      storage_cloud_status: 1,
    })
    await record(catalogue.database, versionOf(key, 'second'), metadataOf(run))
    expect((await usesOf()).map((use) => [use.isCurrent, use.description, use.fileCount])).toEqual([
      [true, 'test', 1],
      [false, 'the first', 0],
    ])
    expect(await runlogRow(catalogue.database, run)).toMatchObject({ run_description: 'test', GEM3_V: 440 })
  })

  test('hides nothing of the earlier run while its file is read again', async () => {
    await adopt()
    await dropFirst()
    await logEnd()
    await adopt()
    expect((await usesOf()).map((use) => [use.isCurrent, use.fileCount, use.loggerParameters])).toEqual([
      [true, 1, null],
      [false, 0, expect.objectContaining({ GEM3_V: 440, number_of_events: 33 })],
    ])
    expect(await runlogRow(catalogue.database, run)).toMatchObject({
      run_description: 'by the logger',
      number_of_events: 33,
      file_size: 1005,
    })
  })

  test('has no second generation any more once the Runlog states the begin of the earlier run again', async () => {
    await adopt()
    await logStart('2023-12-13 10:00:00')
    expect(await adopt()).toBe(1)
    expect(await onlyUse()).toMatchObject({ isCurrent: true, fileCount: 1, description: 'the first' })
    const row = await runlogRow(catalogue.database, run)
    expect(row).toMatchObject({ run_description: 'the first', number_of_events: 20, file_size: 1005 })
  })

  test('is reported once, before the file of the earlier run is overwritten', async () => {
    await adopt()
    await record(catalogue.database, versionOf(key, 'second'), metadataOf(run))
    expect(await alertsOf()).toEqual([`alert:run-number-reused:LNGS/${run}/${BEGIN_OF_RUN}`])
  })

  test('keeps what only the logger wrote although its file arrives before the row is read', async () => {
    await record(catalogue.database, versionOf(key, 'second'), metadataOf(run))
    expect(await adopt()).toBe(0)
    expect((await usesOf()).map((use) => [use.isCurrent, use.description, use.fileCount])).toEqual([
      [true, 'test', 1],
      [false, 'the first', 0],
    ])
    expect(await runlogRow(catalogue.database, run)).toMatchObject({ run_description: 'test', GEM3_V: 440 })
  })

  test('leaves the earlier run the end that it had', async () => {
    await adopt()
    await logEnd()
    await adopt()
    const [first, second] = await usesOf()
    expect(second?.stoppedAt).toEqual(new Date((BEGIN_OF_RUN + 60) * 1000))
    expect(first?.parameters.stop_time).toBe('2023-12-13 11:00:00')
  })
})

test.each([
  ['a second later', '2023-12-14 23:33:18'],
  ['an hour earlier', '2023-12-14 22:33:17'],
])('a begin of run that someone writes into the Runlog %s does not make another run', async (_, start) => {
  await record(catalogue.database, versionOf(key, 'e'), metadataOf(run))
  const before = await runlogRow(catalogue.database, run)
  await logStart(start)
  expect(await adopt()).toBe(1)
  expect(await adopt()).toBe(0)
  expect(await onlyUse()).toMatchObject({ isCurrent: true, fileCount: 1, startedEpoch: BEGIN_OF_RUN })
  expect(await runlogRow(catalogue.database, run)).toEqual(before)
  expect(await alertsOf()).toEqual([`alert:runlog-start-differs:LNGS/${run}/${start}`])
})

test('a run of the logger whose begin is corrected before its file arrives is one run', async () => {
  await logBegin('2023-12-15 10:00:00')
  await adopt()
  await logStart('2023-12-14 23:33:16')
  await adopt()
  const startedAt = new Date((BEGIN_OF_RUN - 1) * 1000)
  expect(await onlyUse()).toMatchObject({ isCurrent: true, startedAt })
  await record(catalogue.database, versionOf(key, 'e'), metadataOf(run))
  expect(await onlyUse()).toMatchObject({ isCurrent: true, startedEpoch: BEGIN_OF_RUN, fileCount: 1 })
})

test('a run of the logger keeps its end although its begin was another one meanwhile', async () => {
  await logBegin()
  await adopt()
  await logStart('2023-12-15 10:00:00')
  await adopt()
  expect(await usesOf()).toHaveLength(2)
  await logEnd()
  await adopt()
  await logStart('2023-12-14 23:33:17')
  await adopt()
  expect(await onlyUse()).toMatchObject({ isCurrent: true, startedEpoch: BEGIN_OF_RUN })
  expect((await onlyUse()).parameters).toMatchObject({
    start_time: '2023-12-14 23:33:17',
    number_of_events: 33,
  })
})

test('a run that lost its file is not hidden by what someone writes into the Runlog', async () => {
  await record(catalogue.database, versionOf(key, 'e'), metadataOf(run))
  const version = versionOf(key, 'unreadable')
  const lease = await leaseOn(catalogue.database, version)
  const refused = {
    lease,
    tag: 'LNGS',
    runNumber: run,
    version,
    reason: 'it is no gzip file',
    isHistory: false,
  }
  await recordInvalid(catalogue.database, refused, { at: new Date(), stillCurrent: async () => 'yes' })
  await logStart('2023-12-15 10:00:00')
  await adopt()
  expect((await usesOf()).map((use) => [use.isCurrent, use.startedEpoch])).toEqual([
    [true, BEGIN_OF_RUN],
    [false, BEGIN_OF_RUN + 37_603],
  ])
  await logStart('2023-12-14 23:33:17')
  await adopt()
  expect(await onlyUse()).toMatchObject({ isCurrent: true, startedEpoch: BEGIN_OF_RUN })
})

test('a file joins the run of the logger by the text of its begin, in the hour that autumn repeats, too', async () => {
  await logBegin('2024-10-27 02:30:00')
  await adopt()
  expect((await onlyUse()).startedAt).toEqual(new Date('2024-10-27T00:30:00Z'))
  const startedAt = Date.parse('2024-10-27T01:30:00Z') / 1000
  const odb = { ...metadataOf(run).odb, start_time: '2024-10-27 02:30:00' }
  await record(catalogue.database, versionOf(key, 'e'), metadataOf(run, { startedAt, odb }))
  expect(await onlyUse()).toMatchObject({ fileCount: 1, startedAt: new Date('2024-10-27T01:30:00Z') })
})

test('a local time that does not exist at the DAQ is read once and counts as no time', async () => {
  await logBegin('2024-03-31 01:30:00')
  await sql`UPDATE Runlog SET stop_time = '2024-03-31 02:30:00' WHERE run_number = ${run}`.execute(
    catalogue.database,
  )
  expect(await adopt()).toBe(1)
  expect(await adopt()).toBe(0)
  expect((await onlyUse()).stoppedAt).toBeNull()
})

test('a DATETIME of zeros is no time', async () => {
  await logBegin()
  await sql`SET STATEMENT sql_mode = '' FOR UPDATE Runlog SET stop_time = '0000-00-00 00:00:00'
    WHERE run_number = ${run}`.execute(catalogue.database)
  expect(await adopt()).toBe(1)
  expect((await onlyUse()).stoppedAt).toBeNull()
})

test('the end that the logger writes after the file arrived changes nothing that comes from the file', async () => {
  const odb = { ...metadataOf(run).odb, stop_time: null, number_of_events: null, GEM3_V: 440.123456 }
  await record(catalogue.database, versionOf(key, 'e'), metadataOf(run, { odb, stoppedAt: null }))
  await logEnd()
  expect(await adopt()).toBe(1)
  const use = await onlyUse()
  expect(use.loggerParameters).toEqual({ stop_time: '2023-12-14 23:34:17', number_of_events: 33 })
  expect(use.parameters).toMatchObject({ number_of_events: 33, GEM3_V: 440.123456 })
  expect(use.stoppedAt).toEqual(new Date((BEGIN_OF_RUN + 60) * 1000))
})

test('what others write into columns of Cygnet does not count as the logger’s', async () => {
  await record(catalogue.database, versionOf(key, 'e'), metadataOf(run))
  await sql`UPDATE Runlog SET online_reco_status = 1 WHERE run_number = ${run}`.execute(catalogue.database)
  expect(await adopt()).toBe(0)
  expect((await onlyUse()).loggerParameters).toBeNull()
})

test('what the logger wrote is read although the statuses of copies have changed since', async () => {
  await record(catalogue.database, versionOf(key, 'e'), metadataOf(run))
  await sql`UPDATE Runlog SET GEM3_V = 441 WHERE run_number = ${run}`.execute(catalogue.database)
  await copyToTape(catalogue.database, run)
  expect(await adopt()).toBe(1)
  expect((await onlyUse()).parameters.GEM3_V).toBe(441)
})

test('a run whose file cannot be read states that, until a readable file arrives', async () => {
  await logBegin()
  const version = versionOf(key, 'unreadable')
  const lease = await leaseOn(catalogue.database, version)
  const refused = {
    lease,
    tag: 'LNGS',
    runNumber: run,
    version,
    reason: 'it is no gzip file',
    isHistory: false,
  }
  await recordInvalid(catalogue.database, refused, { at: new Date(), stillCurrent: async () => 'yes' })
  await logEnd()
  await adopt()
  expect(await onlyUse()).toMatchObject({
    fileCount: 0,
    problem: `${key} cannot be read: it is no gzip file`,
    stoppedAt: expect.any(Date),
  })
  await record(catalogue.database, versionOf(key, 'readable'), metadataOf(run))
  expect(await onlyUse()).toMatchObject({ fileCount: 1, problem: null })
})

test('a logger with a view of its tag can write only runs of this tag', async () => {
  const { database } = catalogue
  const view = sql.id(`logger_${run}`)
  await record(database, versionOf(key, 'e'), metadataOf(run))
  // As in docs/deploy/logger.md.
  await sql`CREATE VIEW ${view} AS SELECT * FROM Runlog WHERE tag = 'LNF' WITH CHECK OPTION`.execute(database)
  await sql`INSERT INTO ${view} (run_number, start_time, GEM3_V, tag)
    VALUES (${run}, '2023-12-14 23-33-17', 440, 'LNF')`.execute(database)
  await sql`UPDATE ${view} SET stop_time = '2023-12-14 23-34-17' WHERE run_number = ${run}`.execute(database)
  expect(await adopt()).toBe(1)
  const [lnf, lngs] = await usesOf()
  expect(lnf).toMatchObject({ tag: 'LNF', fileCount: 0, parameters: { GEM3_V: 440 } })
  expect(lnf?.stoppedAt).toEqual(new Date((BEGIN_OF_RUN + 60) * 1000))
  expect(lngs).toMatchObject({ tag: 'LNGS', fileCount: 1, loggerParameters: null })
})

test('rows with an impossible tag make no run, and are reported once', async () => {
  for (const tag of ['', '../../x'])
    for (const number of [run, run + 10_000])
      await sql`INSERT INTO Runlog (tag, run_number, start_time)
        VALUES (${tag}, ${number}, '2023-12-14 23:33:17')`.execute(catalogue.database)
  expect(await adopt()).toBe(0)
  await sql`UPDATE Runlog SET stop_time = '2023-12-14 23:34:17' WHERE tag = ''`.execute(catalogue.database)
  expect(await adopt()).toBe(0)
  expect(await usesOf()).toEqual([])
  const alerts = await catalogue.database
    .selectFrom('outbox')
    .select('body')
    .where('name', 'like', 'alert:runlog-tag-unusable:%')
    .orderBy('id')
    .execute()
  expect(alerts.map(({ body }) => JSON.parse(body).summary)).toEqual([
    `the Runlog has rows of the tag "", which no run can have: they make no run, e.g. ${run}`,
    `the Runlog has rows of the tag "../../x", which no run can have: they make no run, e.g. ${run}`,
  ])
})

test('a row that fails delays no other, and is tried again after the waiting ones', async () => {
  await logBegin()
  // A day that does not exist: a strict session can read the row, but not write it.
  await sql`SET STATEMENT sql_mode = 'ALLOW_INVALID_DATES' FOR UPDATE Runlog SET stop_time = '2024-02-31 10:00:00'
    WHERE run_number = ${run}`.execute(catalogue.database)
  const failing = run
  const loggedAt = async () => {
    const { rows } = await sql<{ at: string | null }>`SELECT CAST(logged_at AS CHAR) AS at FROM Runlog
      WHERE run_number = ${failing}`.execute(catalogue.database)
    return rows[0]?.at ?? ''
  }
  const before = await loggedAt()
  run++
  await logBegin()
  expect(await adopt()).toBe(1)
  expect(await usesOf()).toHaveLength(1)
  expect((await loggedAt()) > before).toBe(true)
  await sql`DELETE FROM Runlog WHERE run_number = ${failing}`.execute(catalogue.database)
})
