/** The endpoint of the experiment's old tools: what comes out is what the PHP page wrote, byte by byte. */
import { execFile } from 'node:child_process'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { createAdaptorServer } from '@hono/node-server'
import fc from 'fast-check'
import { sql } from 'kysely'
import { type Connection, createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { parseSites, registerLegacyQuery } from '../../../../functions/catalog-api/legacy/query.ts'
import { loadConfig } from '../../../../shared/config/config.ts'
import { openDatabase } from '../../../../shared/database/connect.ts'
import { runlogColumns } from '../../../../shared/extraction/run-parameters.ts'
import { createLogger } from '../../../../shared/log.ts'
import { startTestCatalogue, type TestCatalogue } from '../../../support/catalogue.ts'
import { type PartOfApi, partOfApi } from '../../../support/part-of-api.ts'

const EVERYTHING = ['read:*']
const log = createLogger({ function: 'test', level: 'silent' })
let catalogue: TestCatalogue
let api: PartOfApi
/** For what the API must equal: MariaDB's text protocol, nothing converted. */
let plain: Connection

const partOn = (database: TestCatalogue['database'], environment: Readonly<Record<string, string>> = {}) =>
  partOfApi((part) =>
    registerLegacyQuery(part, {
      database,
      log,
      now: () => new Date(),
      config: loadConfig({ CYGNET_DATABASE_URL: catalogue.url, ...environment }),
    }),
  )

beforeAll(async () => {
  catalogue = await startTestCatalogue()
  api = partOn(catalogue.database)
  plain = await createConnection({ uri: catalogue.url, charset: 'utf8mb4_unicode_520_ci' })
  await insert({
    run_number: 1,
    exposure_sec: 1e-5,
    GEM3_V: 440.1,
    T1_V: 1e10,
    T2_V: 1e-7,
    PMT1_V: 0.30000001,
    number_of_events: 1e20,
  })
  await insert({
    run_number: 100_005,
    run_description: 'AmBe / "campagna" \\ Città 𝄞\n<script>alert(1)</script> & \'x\'\u007f',
    start_time: '2023-12-14 23:33:17',
    exposure_sec: 0.3,
    GEM3_V: 440,
    GEM2_V: 439.9,
    sequence_filename: '',
    sequencer_running: 1,
    pedestal_run: 0,
    file_size: 5_400_000_000,
  })
  for (let run = 99_998; run <= 100_001; run++) await insert({ run_number: run })
  await insert({ run_number: 7, tag: 'LNF', run_description: 'of Frascati' })
  await insert({ run_number: 7, tag: 'MAN', run_description: 'of Mango' })
})
afterAll(async () => {
  await plain.end()
  await catalogue.close()
})

async function insert(row: Readonly<Record<string, string | number | null>>): Promise<void> {
  const full: Record<string, string | number | null> = { tag: 'LNGS', ...row }
  const names = sql.join(Object.keys(full).map((name) => sql.id(name)))
  await sql`INSERT INTO Runlog (${names}) VALUES (${sql.join(Object.values(full))})`.execute(
    catalogue.database.withoutPlugins(),
  )
}

const get = async (query: string, part = api) => {
  const answer = await part.ask(`/cygno_sql_query.php${query}`, { scopes: EVERYTHING })
  return { status: answer.status, text: await answer.text(), headers: answer.headers }
}
const numbers = async (query: string, part = api) => {
  const { text } = await get(query, part)
  return text === ''
    ? null
    : (JSON.parse(text) as { run_number: string }[]).map((row) => Number(row.run_number))
}
const ALL = [1, 99_998, 99_999, 100_000, 100_001, 100_005]

describe('one run', () => {
  it('is one object with the 38 columns in their order, all texts or null', async () => {
    const { text, headers, status } = await get('?run=100005')
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^text\/html/)
    const row = JSON.parse(text) as Record<string, unknown>
    const own = ['file_size', 'file_checksum', 'file_s3_tag', 'online_reco_status']
    expect(Object.keys(row)).toEqual([...runlogColumns.map(({ name }) => name), ...own])
    expect(Object.keys(row)).toHaveLength(38)
    expect(row).not.toHaveProperty('tag')
    expect(Object.values(row).every((value) => value === null || typeof value === 'string')).toBe(true)
    expect(row).toMatchObject({
      start_time: '2023-12-14 23:33:17',
      sequencer_running: '1',
      pedestal_run: '0',
      file_size: '5400000000',
      stop_time: null,
      sequence_filename: '',
    })
  })

  it('is written as json_encode does: no blanks, escaped slashes, \\u in lower-case hex, pairs beyond the basic plane', async () => {
    const { text } = await get('?run=100005')
    expect(
      text.startsWith(
        '{"run_number":"100005","run_description":"AmBe \\/ \\"campagna\\" \\\\ Citt\\u00e0 \\ud834\\udd1e\\n<script>alert(1)<\\/script> & \'x\'\u007f","start_time":"2023-12-14 23:33:17","exposure_sec":"0.3","GEM3_V":"440","GEM2_V":"439.9",',
      ),
    ).toBe(true)
    expect(text.endsWith('"online_reco_status":"-1"}')).toBe(true)
  })

  it.each([1, 100_005])("has MariaDB's own text of every value (run %s)", async (run) => {
    const [rows] = await plain.query({
      sql: 'SELECT * FROM Runlog WHERE tag = ? AND run_number = ?',
      values: ['LNGS', run],
      typeCast: (field) => field.string(),
    })
    const { tag: _, ...expected } = (rows as Record<string, string | null>[])[0] ?? {}
    expect(JSON.parse((await get(`?run=${run}`)).text)).toEqual(expected)
  })

  it('that is not there is the text null', async () => {
    expect(await get('?run=424242')).toMatchObject({ status: 200, text: 'null' })
  })

  it('wins over everything else, also over table', async () => {
    expect(JSON.parse((await get('?run=1&start=99998&end=100006&table=on')).text)).toMatchObject({
      run_number: '1',
    })
  })

  it('given twice is the last one, as in PHP', async () => {
    expect(JSON.parse((await get('?run=1&run=100000')).text)).toMatchObject({ run_number: '100000' })
  })
})

describe('several runs', () => {
  it('are an array with a blank inside its brackets, in the order of the numbers and not of the texts', async () => {
    const { text } = await get('?start=99998&end=100002')
    expect(text).toMatch(/^\[ \{"run_number":"99998",.*\},\{"run_number":"99999",.*\},\{.*\} \]$/)
    expect(await numbers('?start=99998&end=100002')).toEqual([99_998, 99_999, 100_000, 100_001])
  })

  it('end before the end', async () => {
    expect(await numbers('?start=99999&end=100000')).toEqual([99_999])
  })

  it('that are none are an empty body of zero bytes, as a page too', async () => {
    for (const query of ['?start=5&end=9', '?start=9&end=5', '?start=5&end=9&table=on']) {
      const answer = await api.ask(`/cygno_sql_query.php${query}`, { scopes: EVERYTHING })
      expect([answer.status, (await answer.arrayBuffer()).byteLength]).toEqual([200, 0])
    }
  })

  it.each([
    '',
    '?start=0&end=100000000',
    '?start=0&end=99999',
    '?start=99999',
    '?end=5',
    '?start=&end=5',
    '?run=0',
    '?run=',
    '?site=lngs',
    '?db=Runlog&table=0',
  ])('are all of the site for "%s"', async (query) => {
    expect(await numbers(query)).toEqual(ALL)
  })

  it('may begin below 0 and be floats of pandas: the reconstruction asks for the 2000 runs before one', async () => {
    expect(await numbers('?start=-1995&end=6')).toEqual([1])
    expect(await numbers('?start=99998.0&end=99999.0')).toEqual([99_998])
  })

  it('far more than are read at once are all there, once', async () => {
    await sql`INSERT INTO Runlog (tag, run_number) SELECT 'MANY', seq FROM seq_1_to_2001`.execute(
      catalogue.database.withoutPlugins(),
    )
    const many = partOn(catalogue.database, { CYGNET_LEGACY_SITES: '=MANY' })
    expect(await numbers('', many)).toEqual(Array.from({ length: 2001 }, (_, at) => at + 1))
    expect(await numbers('?start=1&end=501', many)).toHaveLength(500)
  })
})

describe('the site', () => {
  it.each([
    ['lnf', 'of Frascati'],
    ['LNF', 'of Frascati'],
    ['man', 'of Mango'],
    ['MAN', 'of Mango'],
  ])('%s has its own runs', async (site, description) => {
    expect(JSON.parse((await get(`?site=${site}&run=7`)).text)).toMatchObject({
      run_description: description,
    })
  })

  it.each(['lngs', 'LNGS', 'Lnf', 'mango', '', 'constructor', "x' OR '1'='1"])(
    '"%s" is LNGS',
    async (site) => {
      expect(await numbers(`?site=${encodeURIComponent(site)}`)).toEqual(ALL)
    },
  )

  it('determines who may read', async () => {
    const status = async (query: string, scopes: readonly string[]) =>
      (await api.ask(`/cygno_sql_query.php${query}`, { scopes })).status
    expect(await status('?site=lnf', [])).toBe(401)
    expect(await status('?site=lnf', ['read:LNGS'])).toBe(403)
    expect(await status('?site=lnf', ['read:LNF'])).toBe(200)
    expect(await status('', ['read:LNF'])).toBe(403)
    // Whichever of two sites counts for the answer must count for the right.
    expect(await status('?site=lnf&site=lngs', ['read:LNF'])).toBe(403)
    expect(await status('?site=lngs&site=lnf', ['read:LNF'])).toBe(200)
  })

  it.each(['lnf=LNF', 'lnf', '=A=B', 'x=,=LNGS', '=../x'])('setting "%s" is refused', (setting) => {
    expect(() => parseSites(setting)).toThrow(/CYGNET_LEGACY_SITES/)
  })
})

describe('nothing of a request gets into SQL', () => {
  it.each([
    'api_tokens',
    'runs',
    'Runlog` WHERE 1=1 -- ',
    'runlog',
    '',
    'mysql.user',
    'information_schema.tables',
  ])('db=%s is refused without a row', async (db) => {
    const { status, text } = await get(`?db=${encodeURIComponent(db)}`)
    expect({ status, text }).toEqual({ status: 400, text: 'db: there is no such table; there is Runlog' })
  })

  it.each([
    '12abc',
    '1 OR 1=1',
    "1' OR '1'='1",
    '1;DROP TABLE Runlog',
    '1 UNION SELECT 1',
    '0x10',
    '1e5',
    '12.5',
    '--1',
    'NaN',
    '1\u0000',
    '9'.repeat(40),
    '١',
  ])('run=%s is refused, as start and as end too', async (text) => {
    const value = encodeURIComponent(text)
    expect(await get(`?run=${value}`)).toMatchObject({ status: 400, text: 'run: a whole number is expected' })
    expect(await get(`?start=${value}&end=5`)).toMatchObject({
      status: 400,
      text: 'start: a whole number is expected',
    })
    expect(await get(`?start=1&end=${value}`)).toMatchObject({
      status: 400,
      text: 'end: a whole number is expected',
    })
  })

  test('for any parameters, the answer is rows of the site, or states what is expected', async () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        "'",
        '"',
        '`',
        ';',
        '--',
        '/*',
        ')',
        'OR 1=1',
        'UNION SELECT tag FROM Runlog',
        '0',
        '7',
      ),
    )
    const text = fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join(' '))
    await fc.assert(
      fc.asyncProperty(
        fc.record({ run: text, start: text, end: text }, { requiredKeys: [] }),
        async (query) => {
          const { text: body, status } = await get(`?${new URLSearchParams({ site: 'lnf', ...query })}`)
          if (status === 400) expect(body).toMatch(/^(?:run|start|end): a whole number is expected$/)
          else
            expect(
              body === 'null' ||
                body === '' ||
                /^(?:\[ )?\{"run_number":"7","run_description":"of Frascati"/.test(body),
            ).toBe(true)
        },
      ),
      { numRuns: 150 },
    )
    expect(await numbers('')).toEqual(ALL)
  })

  it('a table of the list that has no key by tag and run is not shown', async () => {
    const { status, text } = await get(
      '?db=api_tokens',
      partOn(catalogue.database, { CYGNET_LEGACY_TABLES: 'Runlog,api_tokens' }),
    )
    expect({ status, text }).toEqual({
      status: 400,
      text: 'the catalogue has no table api_tokens with the key (tag, run_number)',
    })
  })

  it('another table of the list is shown in the same way', async () => {
    await sql`CREATE TABLE tmpTable (note TEXT, \`a\`\`b.c\` INT, run_number INT UNSIGNED, tag VARCHAR(200), PRIMARY KEY (tag, run_number))`.execute(
      catalogue.database.withoutPlugins(),
    )
    await sql`INSERT INTO tmpTable VALUES ('x', 5, 3, 'LNGS'), ('y', 6, 3, 'LNF')`.execute(
      catalogue.database.withoutPlugins(),
    )
    const { text } = await get(
      '?db=tmpTable',
      partOn(catalogue.database, { CYGNET_LEGACY_TABLES: 'Runlog,tmpTable' }),
    )
    expect(text).toBe('[ {"note":"x","a`b.c":"5","run_number":"3"} ]')
  })
})

describe('table=on', () => {
  it.each(['on', '1', 'false', '0.0'])(
    '(%s) is a page with one table whose cells are escaped',
    async (value) => {
      const { text } = await get(`?table=${value}&start=100001&end=100006`)
      expect(text.match(/<table/g)).toHaveLength(1)
      expect(text.match(/<html/g)).toHaveLength(1)
      expect(text.match(/<tr>/g)).toHaveLength(3)
      expect(text).toContain('<tr><th>run_number</th><th>run_description</th><th>start_time</th>')
      expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#039;x&#039;')
      expect(text).not.toContain('<script')
      expect(text.trimEnd().endsWith('</table></body></html>')).toBe(true)
    },
  )

  it('runs nothing in a browser, as the JSON under the type of a page does not either', async () => {
    for (const query of ['?run=100005', '?table=on', '?run=<script>'])
      expect((await get(query)).headers.get('content-security-policy')).toMatch(/default-src 'none'.*sandbox/)
  })
})

test('a database failure is reported in the words that the old tools know, with status 200 and no detail', async () => {
  const database = openDatabase('mysql://somebody:secret@127.0.0.1:1/nowhere', 1)
  try {
    const { status, text } = await get('?run=1', partOn(database))
    expect(status).toBe(200)
    expect(text).toMatch(/^Connection failed: /)
    expect(text).not.toMatch(/secret|127\.0\.0\.1|somebody/)
  } finally {
    await database.destroy()
  }
})

describe('the library that the experiment uses', () => {
  let server: Server
  let base: string
  beforeAll(async () => {
    const config = loadConfig({ CYGNET_DATABASE_URL: catalogue.url })
    const open = partOfApi(
      (part) =>
        registerLegacyQuery(part, { database: catalogue.database, log, now: () => new Date(), config }),
      ['read:LNGS'],
    )
    server = createAdaptorServer({ fetch: open.app.fetch }) as Server
    server.keepAliveTimeout = 0
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/cygno_sql_query.php`
  })
  afterAll(() => new Promise((resolve) => server.close(resolve)))

  /**
   * What read_cygno_logbook does: a probe, then the same address again through pandas, whose columns become
   * numbers where they can.
   */
  async function readLogbook(start: number, end: number): Promise<Readonly<Record<string, unknown>>[]> {
    const url = `${base}?site=lngs&start=${start}&end=${end}`
    await fetch(url)
    try {
      const rows = (await (await fetch(url)).json()) as Record<string, string | null>[]
      const isNumeric = (name: string) =>
        rows.every((row) => row[name] === null || !Number.isNaN(Number(row[name] || Number.NaN)))
      return rows.map((row) =>
        Object.fromEntries(
          Object.entries(row).map(([name, value]) => [
            name,
            value !== null && isNumeric(name) ? Number(value) : value,
          ]),
        ),
      )
    } catch {
      return []
    }
  }

  it('finds a run by two requests, with numbers', async () => {
    const [row] = await readLogbook(100_005, 100_006)
    expect(row).toMatchObject({
      run_number: 100_005,
      exposure_sec: 0.3,
      pedestal_run: 0,
      storage_cloud_status: -1,
      start_time: '2023-12-14 23:33:17',
    })
  })

  it('finds all runs with its default parameters', async () => {
    expect(await readLogbook(0, 100_000_000)).toHaveLength(ALL.length)
  })

  it('finds an empty frame for a run that is not there', async () => {
    expect(await readLogbook(42, 43)).toEqual([])
  })

  it('with the real pandas has the types that analyses rely on', async (context) => {
    const python = promisify(execFile)
    const present = await python('python3', ['-c', 'import pandas']).then(
      () => true,
      () => false,
    )
    if (!present) return context.skip('python3 with pandas is not here: pip install pandas')
    const script = `
import json, sys
import pandas as pd
df = pd.read_json(sys.argv[1])
row = df[df.run_number == 100005].iloc[0]
print(json.dumps([len(df), int(row.run_number), float(row.exposure_sec), int(row.file_size), str(df.start_time.dtype)[:10], str(row.start_time)]))
try:
    pd.read_json(sys.argv[2]); print("rows")
except Exception:
    print("no rows")
`
    const { stdout } = await python('python3', [
      '-c',
      script,
      `${base}?site=lngs&start=0&end=100000000`,
      `${base}?start=42&end=43`,
    ])
    expect(stdout.split('\n').slice(0, 2)).toEqual([
      JSON.stringify([6, 100_005, 0.3, 5_400_000_000, 'datetime64', '2023-12-14 23:33:17']).replaceAll(
        ',',
        ', ',
      ),
      'no rows',
    ])
  })
})
