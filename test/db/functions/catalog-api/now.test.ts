/** Now is not green where data is late or missing, at whatever stage of its way. */
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Caller } from '../../../../shared/access/caller.ts'
import { copyToTape } from '../../../support/catalogue.ts'
import { addCopiesInAllStates, caller, makeRun, OPERATOR, siteApp } from '../../../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
beforeEach(async () => {
  context = await startTestTapeContext()
})
afterEach(() => context.close())

/** The parts of the page that a shifter sees first, without markup. */
async function now(who: Caller = OPERATOR) {
  const page = await (await siteApp(context, () => who).app.request('/')).text()
  const text = (part: RegExp) =>
    (part.exec(page)?.[0] ?? '').replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ')
  const tones = (part: RegExp) => [...(part.exec(page)?.[0] ?? '').matchAll(TONE)].map(([, tone]) => tone)
  return {
    site: text(/<ul class="verdict sentences".*?<\/ul>/s),
    siteTone: /<ul class="verdict sentences".*?<li class="(\w+)"/s.exec(page)?.[1],
    attention: text(/<(p|ul) class="attention.*?<\/\1>/s),
    pipeline: text(PIPELINE),
    /** DAQ, store, catalogue and tape. */
    stages: tones(PIPELINE),
  }
}
const PIPELINE = /<ol class="pipeline.*?<\/ol>/s
const TONE = /class="mark (\w+)"/g

const HOUR_SECONDS = 3600

test('where the DAQ takes runs and no file has arrived for hours, the uploader is not green', async () => {
  const { database } = context
  // Until eleven hours ago runs arrived, five minutes apart.
  for (let n = 1; n <= 6; n++)
    await makeRun(context, { tag: 'LNGS', runNumber: n, ago: 11 * HOUR_SECONDS + (7 - n) * 300 })
  await sql`UPDATE runs SET first_file_at = started_at + INTERVAL 290 SECOND, catalogued_at = first_file_at`.execute(
    database,
  )
  // Since then the logger has written runs, the last one two minutes ago.
  await sql`INSERT INTO runs (tag, run_number, started_epoch, is_current, integrity, started_at, stopped_at, parameters, catalogued_at, updated_at)
    SELECT 'LNGS', 112 - seq, 112 - seq, 1, 'unstated', UTC_TIMESTAMP() - INTERVAL 300 * seq - 180 SECOND,
      IF(seq = 1, NULL, UTC_TIMESTAMP() - INTERVAL 300 * seq - 420 SECOND), '{}', UTC_TIMESTAMP(), UTC_TIMESTAMP()
    FROM seq_1_to_12`.execute(database)
  const page = await now()
  expect(page.site).toMatch(
    /is taking data\. The DAQ began run 111 2 min ago\. 8 runs that ended, the first \d+ min ago, have no file yet/,
  )
  expect(page.siteTone).toBe('waiting')
  expect(page.stages.slice(0, 2)).toEqual(['good', 'waiting'])
  expect(page.attention).toContain('LNGS: 8 runs ended without a file')
})

test('runs of which nobody has requested a copy on tape are counted, and the tape is not green', async () => {
  const { database } = context
  const old = new Date(Date.now() - 3 * 24 * HOUR_SECONDS * 1000)
  for (const runNumber of [1, 2, 3, 4]) await makeRun(context, { tag: 'LNGS', runNumber, ago: 600 })
  await database.updateTable('runs').set({ firstFileAt: old }).execute()
  await database.updateTable('runFiles').set({ cataloguedAt: old }).execute()
  await copyToTape(database, 2, 'LNGS')
  await database.updateTable('runs').set({ isHistory: true }).where('runNumber', '=', 3).execute()
  await makeRun(context, { tag: 'LNGS', runNumber: 5, ago: 600 })
  // Run 4 has a new file, of which a copy may still be requested.
  const newest = database.selectFrom('runs').select('id').where('runNumber', '=', 4)
  await database
    .updateTable('runFiles')
    .set({ cataloguedAt: new Date() })
    .where('runId', '=', newest)
    .execute()
  const page = await now()
  expect(page.attention).toContain('LNGS: 1 run without any copy on tape, the first arrived 3 d ago')
  expect(page.pipeline).toContain('1 run without any copy on tape')
  expect(page.stages[3]).toBe('bad')
})

test('a run that has just arrived is on its way to tape, though its copy is not requested yet', async () => {
  await makeRun(context, { tag: 'LNGS', runNumber: 1, ago: 600 })
  const page = await now()
  expect(page.pipeline).toContain('0 waiting, 1 of the last runs without a copy')
  expect(page.stages[3]).toBe('moving')
  await copyToTape(context.database, 1, 'LNGS')
  expect((await now()).stages[3]).toBe('good')
})

test('copies on tape that are requested and late do not leave the tape green', async () => {
  await makeRun(context, { tag: 'LNGS', runNumber: 60_020, ago: 600 })
  await addCopiesInAllStates(context)
  expect((await now()).stages[3]).toBe('moving')
  const old = new Date(Date.now() - 3 * 24 * HOUR_SECONDS * 1000)
  await context.database.updateTable('tasks').set({ requestedAt: old }).execute()
  expect((await now()).stages[3]).toBe('bad')
})

const insertArrivals = (tag: string, from: number, to: number, hours: number, state: string) =>
  sql`INSERT INTO arrivals (identity, bucket, object_key, etag, event_name, source, state, received_at, announced_at,
      next_attempt_at, named_tag, named_run)
    SELECT UNHEX(SHA2(CONCAT(${tag}, ${state}, seq), 256)), 'cygno-data', CONCAT(${tag}, '/run', 20000 + seq, '.mid.gz'),
      MD5(seq), 'x', 'reconcile', ${state}, UTC_TIMESTAMP() - INTERVAL ${sql.lit(hours)} HOUR,
      UTC_TIMESTAMP() - INTERVAL ${sql.lit(hours)} HOUR, IF(${state} = 'invalid', NULL, UTC_TIMESTAMP()),
      IF(${state} = 'invalid', ${tag}, NULL), IF(${state} = 'invalid', 20000 + seq, NULL)
    FROM ${sql.raw(`seq_${from}_to_${to}`)}`.execute(context.database)

test('files of a tag that wait or were refused are shown to its reader, however many others there are', async () => {
  await makeRun(context, { tag: 'MAN', runNumber: 1, ago: 600 })
  await insertArrivals('LNGS', 1, 5000, 5, 'received')
  await insertArrivals('LNGS', 10_001, 15_000, 5, 'invalid')
  await insertArrivals('MAN', 1, 3, 2, 'received')
  await insertArrivals('MAN', 11, 12, 2, 'invalid')
  const page = await now(caller('read:MAN'))
  expect(page.attention).toContain('MAN: 2 files refused')
  expect(page.attention).toContain('MAN: 3 not catalogued yet, the oldest waiting for 2 h')
  expect(page.attention).not.toContain('LNGS')
  expect(page.pipeline).toContain('3 waiting, oldest 2 h , 2 refused')
  expect(page.stages[2]).toBe('bad')
})

test('a file that has failed for days and is tried again is one that waits to be catalogued', async () => {
  await makeRun(context, { tag: 'LNGS', runNumber: 1, ago: 600 })
  await insertArrivals('LNGS', 2, 2, 48, 'failed')
  const page = await now()
  expect(page.attention).toContain('LNGS: 1 not catalogued yet, the oldest waiting for 2 d')
  expect(page.stages[2]).toBe('bad')
})

test('a file that was refused days ago is shown until its run is catalogued', async () => {
  await makeRun(context, { tag: 'LNGS', runNumber: 1, ago: 600 })
  await insertArrivals('LNGS', 2, 3, 48, 'invalid')
  expect((await now()).attention).toContain('LNGS: 2 files refused')
  await makeRun(context, { tag: 'LNGS', runNumber: 20_002, ago: 500 })
  expect((await now()).attention).toContain('LNGS: 1 file refused')
  // Its object was missing at the last attempt: nothing is left to be catalogued.
  const rest = context.database.updateTable('arrivals').set({ state: 'failed', outcome: 'gone' })
  await rest.where('objectKey', '=', 'LNGS/run20003.mid.gz').execute()
  expect((await now()).attention).toContain('Found no failed')
})
