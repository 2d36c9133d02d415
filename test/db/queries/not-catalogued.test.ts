/** What the ledger tells of a run that is not in the catalogue, and that it is asked along its index. */
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../../shared/database/connect.ts'
import type { ArrivalState } from '../../../shared/database/schema.ts'
import { arrivedFilesOf, notCataloguedText } from '../../../shared/queries/not-catalogued.ts'
import { findArrivalsOfRun } from '../../../shared/queries/runs.ts'
import { record, startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'
import { metadataOf, versionOf } from '../../support/metadata.ts'

let catalogue: TestCatalogue
const AT = new Date('2026-01-15T08:00:03Z')

interface Heard {
  readonly bucket?: string
  readonly state?: ArrivalState
  readonly attempts?: number
  readonly reason?: string
}

const rowOf = (
  key: string,
  { bucket = 'cygno-data', state = 'failed', attempts = 1, reason }: Heard = {},
) => ({
  identity: createHash('sha256').update(`${bucket}/${key}`).digest(),
  bucket,
  objectKey: key,
  versionId: null,
  etag: 'e',
  eventName: 'ObjectCreated:Put',
  source: 'aws',
  state,
  attempts,
  reason: reason ?? null,
  receivedAt: AT,
  announcedAt: AT,
  finishedAt: state === 'received' ? null : AT,
})

const hear = (database: Database, rows: readonly ReturnType<typeof rowOf>[]) =>
  database.insertInto('arrivals').values(rows).execute()

beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())

const keysOf = async (tag: string, runNumber: number) =>
  (await findArrivalsOfRun(catalogue.database, { tag, runNumber }))
    .map(({ bucket, objectKey: key }) => `${bucket}/${key}`)
    .toSorted()

describe('arrivals of a run', () => {
  const OF_RUN_12 = [
    'LNGS/run12.mid',
    'LNGS/run00012.mid.gz',
    'LNGS/run0000000012.mid.lz4',
    'LNGS/run00012sub0001.mid.gz',
    'LNGS/run12sub7.mid',
    'LNGS/run00012.mid.zip',
  ]
  const OTHERS = [
    'LNGS/run00120.mid.gz',
    'LNGS/run00112.mid.gz',
    'LNGS/run00012.txt',
    'LNGS/run00012subs.mid.gz',
    'LNGS/run00012.d/run5.mid.gz',
    'LNGS/old/run00012.mid.gz',
    'LNF/run00012.mid.gz',
    'L%GS/run00012.mid.gz',
  ]

  beforeAll(() =>
    hear(catalogue.database, [
      ...[...OF_RUN_12, ...OTHERS].map((key) => rowOf(key)),
      rowOf('LNGS/run00012.mid.gz', { bucket: 'another' }),
    ]),
  )

  test('are found however their number is padded, in every bucket, and no others', async () => {
    expect(await keysOf('LNGS', 12)).toEqual(
      [...OF_RUN_12.map((key) => `cygno-data/${key}`), 'another/LNGS/run00012.mid.gz'].toSorted(),
    )
    expect(await keysOf('LNGS/old', 12)).toEqual(['cygno-data/LNGS/old/run00012.mid.gz'])
    expect(await keysOf('L_GS', 12)).toEqual([])
    expect(await keysOf('lngs', 12)).toEqual([])
    expect(await keysOf('L%GS', 12)).toEqual(['cygno-data/L%GS/run00012.mid.gz'])
    expect(await keysOf('LNGS', 4_294_967_295)).toEqual([])
  })

  test('are those that a search without a tag finds, too', async () => {
    const found = await findArrivalsOfRun(catalogue.database, { runNumber: 12 })
    const keys = new Set(found.map(({ objectKey: key }) => key))
    expect(OF_RUN_12.every((key) => keys.has(key))).toBe(true)
    expect(keys.has('LNF/run00012.mid.gz')).toBe(true)
    expect(keys.has('LNGS/run00120.mid.gz')).toBe(false)
  })
})

test('a query for a run does not scan all arrivals', async () => {
  const { database } = catalogue
  for (let first = 0; first < 20_000; first += 2000)
    await hear(
      database,
      Array.from({ length: 2000 }, (_, index) =>
        rowOf(`MANY/run${String(first + index).padStart(5, '0')}.mid.gz`, { state: 'done' }),
      ),
    )
  await sql`ANALYZE TABLE arrivals`.execute(database)
  const [rowsRead, found] = await database.connection().execute(async (connection) => {
    const read = async () => {
      const { rows } = await sql<{ Value: string }>`SHOW SESSION STATUS LIKE 'Handler_read%'`.execute(
        connection,
      )
      return rows.reduce((sum, { Value }) => sum + Number(Value), 0)
    }
    const before = await read()
    const found = await arrivedFilesOf(connection, { tag: 'MANY', runNumber: 12_345 })
    return [(await read()) - before, found] as const
  })
  expect(found).toHaveLength(1)
  expect(rowsRead).toBeLessThan(200)
})

describe('one sentence', () => {
  const run = { tag: 'MAN', runNumber: 7 }

  test('is short for a run that was never reported', async () => {
    expect(notCataloguedText(run, await arrivedFilesOf(catalogue.database, run))).toBe(
      'run 7 of MAN is not in the catalogue',
    )
  })

  test('states for the latest three files their state, since when, the attempts and the reason', async () => {
    await hear(catalogue.database, [
      rowOf('MAN/run00007.mid.gz', { attempts: 6, reason: 'the store answered 503' }),
    ])
    const text = async () => notCataloguedText(run, await arrivedFilesOf(catalogue.database, run))
    expect(await text()).toBe(
      'run 7 of MAN is not in the catalogue, but its files were reported: cygno-data/MAN/run00007.mid.gz: failed since 2026-01-15 08:00:03 UTC after 6 attempts: the store answered 503',
    )
    await hear(
      catalogue.database,
      Array.from({ length: 30 }, (_, index) =>
        rowOf(`MAN/run00007sub${index}.mid.gz`, { state: 'received', attempts: index % 2 }),
      ),
    )
    const heard = await arrivedFilesOf(catalogue.database, run)
    expect(heard).toHaveLength(20)
    expect(heard[0]).toMatchObject({ key: 'MAN/run00007sub29.mid.gz', state: 'received', since: AT })
    expect(await text()).toMatch(
      /sub29\.mid\.gz: received since 2026-01-15 08:00:03 UTC after 1 attempt; .*; and more$/,
    )
  })

  test('states for a file whose begin of run has another number where the run is found', async () => {
    const { database } = catalogue
    const version = versionOf('LNGS/run1234567.mid.gz', 'a')
    await record(database, version, metadataOf(2))
    const misnamed = { tag: 'LNGS', runNumber: 1_234_567 }
    expect(notCataloguedText(misnamed, await arrivedFilesOf(database, misnamed))).toMatch(
      /LNGS\/run1234567[.]mid[.]gz: done \(catalogued as run 2, the number in its begin-of-run event\) since /,
    )
  })
})
