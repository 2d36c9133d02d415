import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findArrival } from '../../../shared/catalogue/arrivals.ts'
import { recordInvalid } from '../../../shared/catalogue/record-file.ts'
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

let nextRun = 100
let run: number
let key: string
beforeEach(() => {
  run = nextRun++
  key = `LNGS/run${String(run).padStart(5, '0')}.mid.gz`
})

const only = async (runNumber: number) => {
  const [found] = await findRuns(catalogue.database, { runNumber })
  if (found === undefined) throw new Error(`run ${runNumber} is not there`)
  return await describeRun(catalogue.database, found)
}

describe('a recorded file', () => {
  test('a file is recorded as a run, a file, a Runlog row, a finished arrival and the requests that follow', async () => {
    const version = versionOf(key, 'etag-1')
    const recorded = await record(catalogue.database, version, metadataOf(run))
    expect(recorded).toMatchObject({ kind: 'recorded', reused: false })
    const details = await only(run)
    expect(details.run).toMatchObject({
      tag: 'LNGS',
      complete: true,
      eventCount: 21,
      pedestal: false,
      isCurrent: true,
      integrity: 'verified',
    })
    expect(details.banks).toContainEqual({ bank: 'CAM0', count: 20, bytes: 2000 })
    expect(details.requests.map((request) => request.queue)).toEqual(['tape-requests', 'reco-requests'])
    expect(await findArrival(catalogue.database, version)).toMatchObject({
      state: 'done',
      outcome: 'catalogued',
      leaseOwner: null,
    })
    expect(await runlogRow(catalogue.database, run)).toMatchObject({
      run_number: run,
      run_description: 'test',
      exposure_sec: 0.3,
      storage_local_status: 0,
      storage_cloud_status: 1,
      storage_tape_status: -1,
      online_reco_status: -1,
      number_of_events: 20,
      file_size: details.run.sizeBytes,
      file_checksum: details.files[0]?.md5,
      file_s3_tag: 'LNGS',
    })
  })

  test('the Runlog has the local time of the DAQ as written in the ODB', async () => {
    await record(catalogue.database, versionOf(key, 'e'), metadataOf(run))
    const { rows } = await sql<{
      at: string
    }>`SELECT CAST(start_time AS CHAR) AS at FROM Runlog WHERE run_number = ${run}`.execute(
      catalogue.database,
    )
    expect(rows[0]?.at).toBe('2023-12-14 23:33:17')
    expect((await only(run)).run.startedAt).toEqual(new Date(BEGIN_OF_RUN * 1000))
  })

  test('the same run number in two tags makes two runs', async () => {
    await record(catalogue.database, versionOf(key, 'e'), metadataOf(run))
    await record(catalogue.database, versionOf(`LNF/run${run}.mid.gz`, 'e'), metadataOf(run, {}, 'another'), {
      tag: 'LNF',
    })
    expect(await findRuns(catalogue.database, { runNumber: run })).toHaveLength(2)
    expect((await runlogRow(catalogue.database, run, 'LNF'))?.file_checksum).not.toBe(
      (await runlogRow(catalogue.database, run))?.file_checksum,
    )
  })

  test('a file over 2.1 GB keeps its size', async () => {
    await record(catalogue.database, versionOf(key, 'e'), metadataOf(run, { sizeBytes: 5_400_000_001 }))
    expect((await runlogRow(catalogue.database, run))?.file_size).toBe(5_400_000_001)
  })

  test('numbers of seven digits sort as numbers', async () => {
    for (const number of [1_000_001, 99_999])
      await record(catalogue.database, versionOf(`LNGS/run${number}.mid.gz`, 'e'), metadataOf(number))
    const order = { by: 'run', descending: true } as const
    const { runs } = await searchRuns(catalogue.database, {
      tags: '*',
      conditions: { from: 99_999 },
      order,
      after: null,
      limit: 10,
    })
    expect(runs.map((found) => found.runNumber)).toEqual([1_000_001, 99_999])
  })
})

describe('a file that arrives again', () => {
  test('a file that arrives again with the same contents changes nothing and repeats no request', async () => {
    const version = versionOf(key, 'e')
    await record(catalogue.database, version, metadataOf(run))
    await copyToTape(catalogue.database, run)
    await record(catalogue.database, version, metadataOf(run))
    const details = await only(run)
    expect(details.requests).toHaveLength(2)
    expect(details.files.filter((file) => file.isLive)).toHaveLength(1)
    expect((await runlogRow(catalogue.database, run))?.storage_tape_status).toBe(1)
  })

  test('a file with other contents replaces the former, which is kept as history and whose copies no longer count', async () => {
    await record(catalogue.database, versionOf(key, 'old'), metadataOf(run, {}, 'old'))
    await copyToTape(catalogue.database, run)
    await record(catalogue.database, versionOf(key, 'new'), metadataOf(run, {}, 'new'))
    const details = await only(run)
    expect(details.files.map((file) => [file.etag, file.isLive])).toEqual([
      ['new', true],
      ['old', false],
    ])
    expect(details.requests.filter((request) => request.queue === 'tape-requests')).toHaveLength(2)
    expect(await runlogRow(catalogue.database, run)).toMatchObject({
      storage_tape_status: -1,
      file_checksum: metadataOf(run, {}, 'new').checksums.md5,
    })
  })

  test('an older version that was read slowly never overwrites the newer one', async () => {
    await record(catalogue.database, versionOf(key, 'new'), metadataOf(run, {}, 'new'))
    const late = await record(catalogue.database, versionOf(key, 'old'), metadataOf(run, {}, 'old'), {
      stillCurrent: async () => 'no',
    })
    expect(late.kind).toBe('superseded')
    expect((await only(run)).files.map((file) => file.etag)).toEqual(['new'])
  })

  test('an unreadable file in place of a run takes the run out of the cloud, and its problem states it', async () => {
    await record(catalogue.database, versionOf(key, 'good'), metadataOf(run))
    const version = versionOf(key, 'garbage')
    const lease = await leaseOn(catalogue.database, version)
    await recordInvalid(
      catalogue.database,
      { lease, tag: 'LNGS', runNumber: run, version, reason: 'not a MIDAS file', isHistory: false },
      { at: new Date(), stillCurrent: async () => 'yes' },
    )
    const details = await only(run)
    expect(details.run).toMatchObject({
      complete: false,
      fileCount: 0,
      problem: expect.stringContaining('not a MIDAS file'),
    })
    expect(details.run.description).toBe('test')
    expect(await runlogRow(catalogue.database, run)).toMatchObject({
      storage_cloud_status: -1,
      file_size: -1,
      file_checksum: null,
    })
    expect(details.requests.map((request) => request.queue)).toContain('alerts')
  })
})

describe('a run number that is used again', () => {
  const later = { startedAt: BEGIN_OF_RUN + 86_400, stoppedAt: BEGIN_OF_RUN + 86_500 }

  test('a run number that is used again makes a new run, the old one keeps its entry, the two never mix, and an alert is raised', async () => {
    await record(catalogue.database, versionOf(key, 'first'), metadataOf(run, {}, 'first'))
    await copyToTape(catalogue.database, run)
    await sql`UPDATE Runlog SET online_reco_status = 1 WHERE run_number = ${run}`.execute(catalogue.database)
    const recorded = await record(
      catalogue.database,
      versionOf(key, 'second'),
      metadataOf(run, { ...later, odb: { run_description: 'again' } }, 'second'),
    )
    expect(recorded).toMatchObject({ kind: 'recorded', reused: true })
    const uses = await findRuns(catalogue.database, { runNumber: run })
    expect(uses.map((use) => [use.isCurrent, use.description, use.fileCount])).toEqual([
      [true, 'again', 1],
      [false, 'test', 0],
    ])
    const row = await runlogRow(catalogue.database, run)
    expect(row).toMatchObject({
      run_description: 'again',
      storage_tape_status: -1,
      online_reco_status: -1,
      file_checksum: metadataOf(run, {}, 'second').checksums.md5,
    })
    expect(row?.exposure_sec).toBeNull()
    const old = await describeRun(catalogue.database, uses[1] as (typeof uses)[number])
    expect(old.history.map((line) => line.what)).toContain('overwritten')
    expect(old.files[0]).toMatchObject({
      etag: 'first',
      isLive: false,
      md5: metadataOf(run, {}, 'first').checksums.md5,
    })
    expect((await only(run)).requests.map((request) => request.name)).toContainEqual(
      expect.stringContaining('run-number-reused'),
    )
  })

  test('subruns that are left of the first generation never count for the second', async () => {
    const sub = (subrun: number, begun: object, content: string) =>
      record(
        catalogue.database,
        versionOf(`LNGS/run00${run}sub000${subrun}.mid.gz`, content),
        metadataOf(run, { subrun, ...begun }, content),
      )
    for (const subrun of [0, 1, 2])
      await sub(subrun, { stoppedAt: subrun === 2 ? BEGIN_OF_RUN + 60 : null }, `first ${subrun}`)
    expect((await only(run)).run).toMatchObject({ complete: true, eventCount: 63, fileCount: 3 })
    await sub(0, { ...later, stoppedAt: null }, 'second 0')
    expect((await only(run)).run).toMatchObject({ complete: false, eventCount: 21, fileCount: 1 })
    await sub(1, later, 'second 1')
    expect((await only(run)).run).toMatchObject({ complete: true, eventCount: 42, fileCount: 2 })
    const uses = await findRuns(catalogue.database, { runNumber: run })
    expect(uses[1]).toMatchObject({
      isCurrent: false,
      fileCount: 1,
      problem: expect.stringContaining('subruns missing'),
    })
  })

  test('a complete file after one that lost its ODB dump belongs to the same run', async () => {
    const unknown = {
      startedAt: null,
      stoppedAt: null,
      complete: false,
      problem: { code: 'x', message: 'cut', offset: 5000 },
    }
    await record(catalogue.database, versionOf(key, 'cut'), metadataOf(run, unknown, 'cut'))
    await record(catalogue.database, versionOf(key, 'whole'), metadataOf(run, {}, 'whole'))
    const uses = await findRuns(catalogue.database, { runNumber: run })
    expect(uses).toHaveLength(1)
    expect(uses[0]).toMatchObject({ complete: true, startedEpoch: BEGIN_OF_RUN })
  })
})

describe('concurrent transactions', () => {
  test('subruns that arrive at the same time make one run with all of them', async () => {
    await Promise.all(
      Array.from({ length: 12 }, (_, subrun) =>
        record(
          catalogue.database,
          versionOf(`LNGS/run00${run}sub00${String(subrun).padStart(2, '0')}.mid.gz`, `e${subrun}`),
          metadataOf(run, { subrun, stoppedAt: subrun === 11 ? BEGIN_OF_RUN + 60 : null }, `part ${subrun}`),
        ),
      ),
    )
    const details = await only(run)
    expect(details.run).toMatchObject({ complete: true, fileCount: 12, eventCount: 12 * 21 })
    expect(details.requests.filter((request) => request.queue === 'reco-requests')).toHaveLength(1)
    expect(await findRuns(catalogue.database, { runNumber: run })).toHaveLength(1)
  })

  test('a function that lost its lease writes nothing', async () => {
    const version = versionOf(key, 'e')
    const lost = await leaseOn(catalogue.database, version)
    await sql`UPDATE arrivals SET lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE id = ${lost.id}`.execute(
      catalogue.database,
    )
    await leaseOn(catalogue.database, version)
    await expect(
      recordInvalid(
        catalogue.database,
        { lease: lost, tag: 'LNGS', runNumber: run, version, reason: 'x', isHistory: false },
        { at: new Date(), stillCurrent: async () => 'yes' },
      ),
    ).rejects.toThrow(/lease/)
    expect(await findRuns(catalogue.database, { runNumber: run })).toHaveLength(0)
    expect(await findArrival(catalogue.database, version)).toMatchObject({ state: 'processing' })
  })
})

describe('requests after a file is recorded', () => {
  const queuesOf = async () =>
    (await only(run)).requests.map((request) =>
      request.queue === 'alerts' ? request.name.split(':')[1] : request.queue,
    )

  test('an incomplete run gets a tape copy and an alert but no reconstruction', async () => {
    const problem = {
      code: 'gzip-truncated',
      message: 'the stream ends in the middle; 4 whole events were read',
      offset: 7,
    }
    await record(catalogue.database, versionOf(key, 'e'), metadataOf(run, { complete: false, problem }))
    expect(await queuesOf()).toEqual(['incomplete-file', 'tape-requests'])
    expect((await only(run)).history.at(-1)?.detail ?? '').toContain('in the middle')
    const alert = catalogue.database
      .selectFrom('outbox')
      .select('body')
      .where('queue', '=', 'alerts')
      .orderBy('id', 'desc')
    const { summary } = JSON.parse((await alert.executeTakeFirstOrThrow()).body)
    expect(summary).toBe(`run00${run}.mid.gz (run ${run} of LNGS) is incomplete: ${problem.message}`)
  })

  test('a run without camera frames is not reconstructed, and an alert is raised', async () => {
    await record(
      catalogue.database,
      versionOf(key, 'e'),
      metadataOf(run, { banks: { DIG0: { count: 20, bytes: 5 } }, cameras: [] }),
    )
    expect(await queuesOf()).toEqual(['no-camera-bank', 'tape-requests'])
  })

  test('a run with frames of another camera than the first is reconstructed', async () => {
    await record(
      catalogue.database,
      versionOf(key, 'e'),
      metadataOf(run, { banks: { CAM2: { count: 20, bytes: 2000 } } }),
    )
    expect(await queuesOf()).toEqual(['tape-requests', 'reco-requests'])
  })

  test('a run whose checksum disagrees is not copied to tape', async () => {
    const comparisons = [{ by: 'uploader', algorithm: 'md5', stated: 'f'.repeat(32), agrees: false }]
    await record(catalogue.database, versionOf(key, 'e'), metadataOf(run), {
      integrity: 'mismatch',
      comparisons,
    })
    expect(await queuesOf()).toEqual(['checksum-mismatch'])
    expect((await runlogRow(catalogue.database, run))?.storage_cloud_status).toBe(-2)
  })

  test('a short run is catalogued and copied, but not reconstructed', async () => {
    await record(catalogue.database, versionOf(key, 'e'), metadataOf(run, { eventsById: { '1': 10 } }))
    expect(await queuesOf()).toEqual(['tape-requests'])
  })
})
