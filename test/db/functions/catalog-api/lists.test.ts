/** The lists of the pages as files: every row that the filters select, in columns that stay, for spreadsheets too. */
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerLists } from '../../../../functions/catalog-api/api/lists.ts'
import { registerQueues } from '../../../../functions/catalog-api/api/queues.ts'
import { registerReplicaSummary } from '../../../../functions/catalog-api/api/replicas.ts'
import { registerRuns } from '../../../../functions/catalog-api/api/runs.ts'
import { refusal } from '../../../../functions/catalog-api/http/problem.ts'
import { parkNotification } from '../../../../shared/catalogue/parked.ts'
import type { Database } from '../../../../shared/database/connect.ts'
import { listArrivals, listHistory } from '../../../../shared/queries/lists.ts'
import { ANONYMOUS, caller, type RestApp, restApp } from '../../../support/functions/catalog-api/rest-app.ts'
import { addCopiesInAllStates, addDeadLetter, addFailedArrival, fillSite } from '../../../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const EVERYBODY = caller('read:*')
const OPERATOR = caller('read:*', 'operate:*')
const FORMULA = '=HYPERLINK("http://x","y")'

let context: TestTapeContext
let app: RestApp

beforeAll(async () => {
  context = await startTestTapeContext()
  app = restApp(context, registerQueues, registerLists, registerRuns, registerReplicaSummary)
  await fillSite(context)
  await addCopiesInAllStates(context)
  await addFailedArrival(context, 'LNGS/run60099.mid.gz', FORMULA)
  await addFailedArrival(context, 'nowhere.txt', 'no run file')
  await addDeadLetter(context, { bucket: 'cygno-data', key: 'LNGS/run60017.mid.gz' })
  await parkNotification(context.database, FORMULA, 'not JSON', new Date())
})
afterAll(() => context.close())

const PATHS = [
  '/api/v1/copies',
  '/api/v1/recalls',
  '/api/v1/files',
  '/api/v1/history',
  '/api/v1/arrivals',
  '/api/v1/alerts',
  '/api/v1/parked',
  '/api/v1/replicas/days',
  '/api/v1/replicas/places',
  '/api/v1/replicas/open',
  '/api/v1/queues',
  '/api/v1/dead/tape-requests',
]

const get = (path: string, who = OPERATOR) => app.get(path, who)
const ndjson = async (path: string, who = OPERATOR) => {
  const { status, text } = await get(`${path}${path.includes('?') ? '&' : '?'}format=ndjson`, who)
  expect([status, path]).toEqual([200, path])
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe('every list', () => {
  test.each(PATHS)(
    '%s has the same rows as JSON, NDJSON and CSV, and the columns of its schema',
    async (path) => {
      const csv = await get(`${path}?format=csv`)
      expect([csv.status, csv.headers.get('content-type')]).toEqual([
        200,
        'text/csv; charset=utf-8; header=present',
      ])
      expect(csv.headers.get('content-disposition')).toMatch(/^attachment; filename="[a-z-]+\.csv"$/)
      const [head = '', ...lines] = csv.text.split('\r\n')
      const rows = await ndjson(path)
      for (const row of rows) expect(Object.keys(row).toSorted()).toEqual(head.split(',').toSorted())
      expect(lines.length - 1).toBe(rows.length)
      if (path !== '/api/v1/recalls') expect(rows.length).toBeGreaterThan(0)
      const { json } = await get(path)
      const shown = (json.rows ?? json.queues ?? json.letters) as unknown[]
      expect(shown).toEqual(rows.slice(0, shown.length))
      for (const time of csv.text.match(/\b20\d\d-\d\d-\d\d[T ][^,\r]*/g) ?? [])
        expect(time).toMatch(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/)
    },
  )

  test.each(PATHS)(
    '%s answers by the Accept header as well, and refuses what it does not know',
    async (path) => {
      const { headers } = await app.get(path, OPERATOR, { accept: 'text/csv' })
      expect(headers.get('content-type')).toContain('text/csv')
      expect((await get(`${path}?format=xml`)).status).toBe(400)
      expect((await get(path, ANONYMOUS)).status).toBe(401)
    },
  )

  test('a text that a spreadsheet would take for a formula is only text', async () => {
    expect((await get('/api/v1/arrivals?format=csv')).text).toContain(`"'=HYPERLINK(""http://x"",""y"")"`)
    expect((await get('/api/v1/parked?format=csv')).text).toContain(`"'=HYPERLINK(""http://x"",""y"")"`)
  })

  test('pages of JSON lead through all rows, without repeating or leaving out one', async () => {
    const ids: number[] = []
    for (let cursor = ''; ; ) {
      const { json } = await get(`/api/v1/copies?limit=7${cursor}`)
      ids.push(...json.rows.map(({ id }: { readonly id: number }) => id))
      if (json.next === null) break
      cursor = `&cursor=${json.next}`
    }
    expect(ids).toEqual((await ndjson('/api/v1/copies')).map(({ id }) => id))
    expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => b - a))
    expect((await get('/api/v1/copies?limit=501')).status).toBe(400)
    expect(await ndjson('/api/v1/copies?limit=3')).toHaveLength(3)
  })

  test('shows a caller nothing of other tags', async () => {
    const reader = caller('read:LNF')
    for (const path of PATHS) {
      if (/parked|queues|dead/.test(path)) {
        expect((await get(path, reader)).status).toBe(403)
        continue
      }
      const text = JSON.stringify(await ndjson(path, reader))
      expect(text).not.toMatch(/LNGS|nowhere\.txt/)
      expect((await get(`${path}?tag=LNGS`, reader)).status).toBe(403)
    }
    expect(JSON.stringify(await ndjson('/api/v1/arrivals', EVERYBODY))).toContain('nowhere.txt')
  })
})

describe('the filters', () => {
  test('of copies select by tag, run, place and state', async () => {
    const rows = await ndjson('/api/v1/copies?tag=LNGS&kind=tape&state=failed&state=copying')
    expect(rows.map(({ runNumber, state }) => [runNumber, state])).toEqual([
      [60_017, 'failed'],
      [60_016, 'copying'],
    ])
    expect(await ndjson('/api/v1/copies?tag=LNGS&from=60001&to=60002&kind=cloud')).toHaveLength(2)
    expect(await ndjson('/api/v1/copies?tag=LNGS&tag=LNF&kind=cloud')).toHaveLength(32)
    expect((await get('/api/v1/copies?state=nowhere')).json.detail).toMatch(/^state/)
  })

  test('of files, history, arrivals and alerts select by tag, run, state and time', async () => {
    expect(await ndjson('/api/v1/files?tag=LNF&from=7001&to=7003')).toHaveLength(3)
    expect(
      new Set((await ndjson('/api/v1/history?tag=LNGS&from=60001&to=60001')).map((row) => row.what)),
    ).toContain('catalogued')
    const failed = await ndjson('/api/v1/arrivals?state=failed')
    expect(failed.map(({ key, tag, runNumber }) => [key, tag, runNumber])).toEqual([
      ['nowhere.txt', null, null],
      ['LNGS/run60099.mid.gz', 'LNGS', 60_099],
    ])
    expect(await ndjson('/api/v1/arrivals?state=failed&from=60099')).toHaveLength(1)
    expect((await ndjson('/api/v1/alerts?tag=LNGS')).length).toBeGreaterThan(0)
    expect(await ndjson('/api/v1/alerts?since=2999-01-01')).toEqual([])
    const firing = await ndjson('/api/v1/alerts?state=firing')
    expect(firing.length).toBeGreaterThan(0)
    await context.database
      .updateTable('alerts')
      .set({ acknowledgedBy: 'ada', acknowledgedAt: new Date(), comment: 'on it' })
      .where('id', '=', Number(firing[0]?.id))
      .execute()
    expect(await ndjson('/api/v1/alerts?state=acknowledged')).toEqual([
      {
        ...firing[0],
        state: 'acknowledged',
        acknowledgedBy: 'ada',
        acknowledgedAt: expect.any(String),
        comment: 'on it',
      },
    ])
    expect(await ndjson('/api/v1/alerts?state=firing')).toEqual(firing.slice(1))
  })
})

describe('a tag that the catalogue does not know', () => {
  const OF_TAGS = PATHS.filter((path) => !/parked|queues|dead/.test(path))

  test.each([...OF_TAGS, '/api/v1/runs', '/api/v1/replicas/summary'])(
    'is refused by %s, with those that resemble it',
    async (path) => {
      for (const query of ['tag=lngs', 'tag=LNGS&tag=lngs', 'tag=lngs&format=csv'].slice(
        0,
        path.endsWith('summary') ? 2 : 3,
      )) {
        const { status, json } = await get(`${path}?${query}`, EVERYBODY)
        expect([status, json?.detail]).toEqual([
          404,
          'the catalogue has no run of the tag lngs yet, but of LNGS',
        ])
      }
    },
  )

  test('is known by a file that could not be catalogued, and to whoever has a right for it by name', async () => {
    await addFailedArrival(context, 'SOON/run00001.mid.gz', 'cut off')
    expect((await get('/api/v1/copies?tag=SOON', EVERYBODY)).json.rows).toEqual([])
    expect((await get('/api/v1/copies?tag=LATER', EVERYBODY)).status).toBe(404)
    expect((await get('/api/v1/copies?tag=LATER', caller('read:LATER'))).json.rows).toEqual([])
  })
})

test('a list of many windows is complete although ids have large gaps and few rows match', async () => {
  const { database } = context
  const run = await database
    .selectFrom('runs')
    .select('id')
    .where('tag', '=', 'MAN')
    .executeTakeFirstOrThrow()
  const rows = Array.from({ length: 12_000 }, (_, index) => ({
    id: 1_000_000_000 * (1 + Math.floor(index / 3000)) + index,
    runId: run.id,
    at: new Date(),
    what: 'tested',
    detail: String(index),
  }))
  for (let first = 0; first < rows.length; first += 3000)
    await database
      .insertInto('runHistory')
      .values(rows.slice(first, first + 3000))
      .execute()
  const found = (await ndjson('/api/v1/history?tag=MAN')).filter(({ what }) => what === 'tested')
  expect(found.map(({ detail }) => Number(detail))).toEqual(rows.map((_, index) => 11_999 - index))
  expect((await ndjson('/api/v1/history?tag=LNF')).length).toBeGreaterThan(11)
  expect(await ndjson('/api/v1/history?tag=MAN&from=11300&to=11300')).toHaveLength(
    (await ndjson('/api/v1/history?tag=MAN')).length,
  )
  expect(await ndjson('/api/v1/history?from=11301&to=11305')).toEqual([])
})

describe('among many rows', () => {
  const MANY = 30_000
  let reads: (read: (database: Database) => Promise<unknown>) => Promise<number>
  beforeAll(async () => {
    const { database } = context
    const arrive = (tag: string, from: number, count: number) =>
      sql`INSERT INTO arrivals (identity, bucket, object_key, etag, event_name, source, state, received_at, announced_at)
        SELECT UNHEX(SHA2(CONCAT(${tag}, seq), 256)), 'cygno-data', CONCAT(${tag}, '/run', LPAD(seq, 6, '0'), '_0001.mid.gz'),
          'e', 'ObjectCreated:Put', 'aws', IF(seq = 17, 'invalid', 'done'), NOW(3), NOW(3)
        FROM ${sql.raw(`seq_${from}_to_${from + count - 1}`)}`.execute(database)
    await arrive('OLD', 1, 20)
    await arrive('NEW', 100_001, MANY)
    await sql`INSERT INTO run_history (run_id, at, what, detail) SELECT (SELECT MIN(id) FROM runs WHERE tag = 'LNGS'),
      NOW(3), 'tested', 'x' FROM ${sql.raw(`seq_1_to_${MANY}`)}`.execute(database)
    await sql`ANALYZE TABLE arrivals, run_history, runs`.execute(database)
    reads = (read) =>
      database.connection().execute(async (connection) => {
        const count = async () => {
          const { rows } = await sql<{
            Value: string
          }>`SHOW SESSION STATUS LIKE 'Handler_read%'`.execute(connection)
          return rows.reduce((sum, { Value }) => sum + Number(Value), 0)
        }
        const before = await count()
        await read(connection)
        return (await count()) - before
      })
  })

  test.each([
    ['few arrivals of a tag', { tags: ['OLD'] }, 20],
    ['the arrivals of one run', { tags: ['NEW'], from: 100_077, to: 100_077 }, 1],
    ['the arrivals of a run that has none', { tags: ['NEW'], from: 7, to: 7 }, 0],
    ['arrivals in a rare state', { tags: '*', states: ['invalid'], from: 17, to: 17 }, 1],
  ] as const)('%s are found without reading the others', async (_, filter, count) => {
    let found = 0
    const read = async (database: Database) => {
      for await (const rows of listArrivals(database, { after: null, ...filter })) found += rows.length
    }
    expect(await reads(read)).toBeLessThan(2000)
    expect(found).toBe(count)
  })

  test('the history of a tag with few runs is found without reading that of others', async () => {
    let found = 0
    const read = async (database: Database) => {
      for await (const rows of listHistory(database, { after: null, tags: ['LNF'] })) found += rows.length
    }
    expect(await reads(read)).toBeLessThan(2000)
    expect(found).toBeGreaterThan(11)
  })

  test('a list is complete whichever way its rows are found', async () => {
    expect(await ndjson('/api/v1/arrivals?tag=OLD&from=3&to=5')).toHaveLength(3)
    expect(await ndjson('/api/v1/arrivals?tag=NEW&from=100030&to=100129')).toHaveLength(100)
    expect(await ndjson('/api/v1/arrivals?tag=NEW&tag=OLD')).toHaveLength(MANY + 20)
    expect(await ndjson('/api/v1/arrivals?from=100001&tag=NEW')).toHaveLength(MANY)
    expect(await ndjson('/api/v1/arrivals?from=3&to=5')).toHaveLength(3)
    const { json } = await get('/api/v1/arrivals?tag=OLD&limit=15')
    expect(await ndjson(`/api/v1/arrivals?tag=OLD&cursor=${json.next}`)).toHaveLength(5)
  })

  test('a request that was answered without its list does not read the rest of it', async () => {
    const timedOut = AbortSignal.abort(refusal(503, 'too late'))
    const statements: string[] = []
    const log = (sqlText: string) => statements.push(sqlText)
    const followed = restApp({ ...context, database: followedBy(context.database, log) }, registerLists)
    await followed.get('/api/v1/arrivals?from=1&to=2', EVERYBODY)
    const all = statements.splice(0).length
    expect((await followed.api.app.request('/api/v1/arrivals?from=1&to=2', {}, { timedOut })).status).toBe(
      503,
    )
    expect(statements.length).toBeLessThan(all / 2)
  })
})

/** The database, which reports each statement before it begins. */
const followedBy = (database: Database, report: (kind: string) => void) =>
  database.withPlugin({
    transformQuery: ({ node }) => {
      report(node.kind)
      return node
    },
    transformResult: async ({ result }) => result,
  })

test('a failure cuts a list off, so that it is not taken for a complete one', async () => {
  const broken = restApp(
    {
      ...context,
      database: context.database.withPlugin({
        transformQuery: ({ node }) => node,
        transformResult: () => Promise.reject(new Error('the database is gone')),
      }),
    },
    registerLists,
  )
  await expect(broken.get('/api/v1/files?format=csv', OPERATOR)).rejects.toThrow('the database is gone')
})
