/** Of several files of the same part of a run one counts: sums, copies, alerts, links and recalls concern it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findFiles } from '../../../shared/copies/links/find-files.ts'
import { resolveRun } from '../../../shared/copies/recall/resolve-run.ts'
import { sweepCopies } from '../../../shared/copies/tape/sweep-copies.ts'
import { storageByDay } from '../../../shared/queries/dashboard.ts'
import { describeRun, findRuns } from '../../../shared/queries/runs.ts'
import { copyToTape, record, runlogRow } from '../../support/catalogue.ts'
import { signal } from '../../support/context.ts'
import { metadataOf, versionOf } from '../../support/metadata.ts'
import { startTestTapeContext, type TestTapeContext } from '../../support/tape-context.ts'

let context: TestTapeContext
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())

let run = 2000
beforeEach(() => {
  run += 10
})

const keyOf = (number: number, suffix = '.mid.gz') => `LNGS/run0${number}${suffix}`
const NEWER = { lastModified: new Date('2026-02-01T08:00:00Z') }
const CUT = { complete: false, problem: { code: 'cut-in-event', message: 'it ends in an event', offset: 7 } }

const rightFile = () => record(context.database, versionOf(keyOf(run), `right-${run}`), metadataOf(run))
/** A file of the run under the number of another one, later in the store. */
const misnamedFile = (changes: object = {}, content = `run ${run}`, suffix = '.mid.gz') =>
  record(
    context.database,
    versionOf(keyOf(run + 1, suffix), `wrong-${run}${suffix}`, NEWER),
    metadataOf(run, { warnings: [NUMBERS_DIFFER], ...changes }, content),
  )
const NUMBERS_DIFFER = { code: 'run-number-mismatch', message: 'the numbers disagree', offset: null }

async function shown() {
  const [found] = await findRuns(context.database, { runNumber: run })
  if (found === undefined) throw new Error(`run ${run} is not there`)
  return await describeRun(context.database, found)
}
const namesOf = (recorded: Awaited<ReturnType<typeof record>>) =>
  recorded.kind !== 'recorded'
    ? []
    : recorded.requests.map(({ queue, name }) => (queue === 'alerts' ? name.split(':')[1] : queue))
const summaries = (recorded: Awaited<ReturnType<typeof record>>) =>
  recorded.kind !== 'recorded'
    ? []
    : recorded.requests.flatMap(({ body }) => ('summary' in body ? [String(body.summary)] : []))

describe('a second file of a run under the number of another run', () => {
  test('it does not count, and no reconstruction and no second copy of the same bytes are requested', async () => {
    await rightFile()
    const before = await shown()
    const second = await misnamedFile()
    expect(namesOf(second)).toEqual(['run-number-mismatch'])
    expect(summaries(second)[0]).toContain(`run0${run + 1}.mid.gz (does not count for run ${run} of LNGS)`)
    const { run: after, events, banks, storage, files } = await shown()
    expect(after).toMatchObject({
      complete: true,
      fileCount: 1,
      eventCount: 21,
      sizeBytes: before.run.sizeBytes,
      problems: 'extra-file',
      problem: expect.stringContaining(`not counted: cygno-data/${keyOf(run + 1)}`),
    })
    expect({ events, banks, storage }).toEqual({
      events: before.events,
      banks: before.banks,
      storage: before.storage,
    })
    expect(files.map(({ objectKey, counts }) => [objectKey, counts])).toEqual([
      [keyOf(run), true],
      [keyOf(run + 1), false],
    ])
    expect(await runlogRow(context.database, run)).toMatchObject({
      file_checksum: before.files[0]?.md5,
      file_size: before.run.sizeBytes,
    })
  })

  test('it gives way when the file of the right name arrives after it, and the reconstruction is not repeated', async () => {
    const first = await misnamedFile()
    expect(namesOf(first)).toEqual(['run-number-mismatch', 'tape-requests', 'reco-requests'])
    expect((await shown()).run).toMatchObject({ complete: true, problems: 'misnamed' })
    expect(namesOf(await rightFile())).toEqual(['tape-requests'])
    expect((await shown()).run).toMatchObject({ fileCount: 1, eventCount: 21, problems: 'extra-file' })
  })

  test('it does not make the run incomplete when it is cut, and nobody is alerted that it is', async () => {
    await rightFile()
    expect(namesOf(await misnamedFile(CUT, 'other bytes'))).toEqual(['run-number-mismatch', 'tape-requests'])
    expect((await shown()).run).toMatchObject({ complete: true, problems: 'extra-file' })
  })

  test.each(['sub0001.mid.gz', 'sub0000.mid.lz4'])('it does not mix with the run as %s', async (suffix) => {
    await rightFile()
    await misnamedFile({ subrun: Number(suffix.slice(3, 7)) }, 'other bytes', suffix)
    expect((await shown()).run).toMatchObject({ complete: true, fileCount: 1, eventCount: 21 })
  })

  test('it is not linked, recalled or summed with the run, and is handed out with a warning by its own name', async () => {
    await rightFile()
    await misnamedFile({}, 'other bytes')
    const runs = [{ tag: 'LNGS', runNumber: run }]
    const named = [{ bucket: 'cygno-data', key: keyOf(run + 1) }]
    expect((await findFiles(context.database, { runs })).map(({ file }) => file)).toEqual([
      expect.objectContaining({ key: keyOf(run), warning: null }),
    ])
    expect((await findFiles(context.database, { files: named })).map(({ file }) => file.warning)).toEqual([
      `does not count for run ${run} of LNGS: another file has this part`,
    ])
    const { files } = await resolveRun(context.database, { runNumber: run })
    expect(files.map(({ objectKey }) => objectKey)).toEqual([keyOf(run)])
    const taken = await storageByDay(context.database, '*', new Date(0))
    const { rows } = { rows: await findRuns(context.database, { runNumber: run }) }
    expect(rows[0]?.sizeBytes).toBe(1000 + `run ${run}`.length)
    const all = await context.database
      .selectFrom('runs')
      .select((of) => of.fn.sum<number>('sizeBytes').as('bytes'))
      .executeTakeFirstOrThrow()
    expect(taken.reduce((sum, day) => sum + day.takenBytes, 0)).toBe(Number(all.bytes))
  })

  test('its copy on tape neither completes nor spoils that of the run', async () => {
    await rightFile()
    await copyToTape(context.database, run)
    await misnamedFile({}, 'other bytes')
    expect((await shown()).storage).toMatchObject({ tape: 'on-media' })
    expect((await shown()).run).toMatchObject({ tape: 'on-media', problems: 'extra-file' })
  })

  test('it counts when it is the only one left', async () => {
    await rightFile()
    await misnamedFile()
    await context.database
      .updateTable('runFiles')
      .set({ isLive: false })
      .where('objectKey', '=', keyOf(run))
      .execute()
    await misnamedFile()
    expect((await shown()).run).toMatchObject({ complete: true, fileCount: 1, problems: 'misnamed' })
  })
})

test('bytes that no other file of the run has are copied to tape although they do not count, others are not', async () => {
  const sweptKeys = async () => {
    await context.database
      .updateTable('runFiles')
      .set({ cataloguedAt: new Date(Date.now() - 3_600_000) })
      .execute()
    await sweepCopies(context, signal)
    const rows = await context.database
      .selectFrom('replicas')
      .select('objectKey')
      .where('kind', '=', 'tape')
      .where('endpoint', '=', context.tape.endpoint)
      .where('runNumber', '=', run)
      .execute()
    return rows.map(({ objectKey }) => objectKey).toSorted()
  }
  await rightFile()
  await misnamedFile()
  expect(await sweptKeys()).toEqual([keyOf(run)])
  await misnamedFile({}, 'other bytes', '.mid.lz4')
  expect(await sweptKeys()).toEqual([keyOf(run), keyOf(run + 1, '.mid.lz4')])
  // The store has lost the file that counts before it was on tape: the second one may be the last.
  await context.database
    .updateTable('replicas')
    .set({ state: 'missing' })
    .where('objectKey', '=', keyOf(run))
    .where('kind', '=', 'cloud')
    .execute()
  expect(await sweptKeys()).toContain(keyOf(run + 1))
})
