import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerRuns } from '../../../../functions/catalog-api/api/runs.ts'
import { runItem, runPage } from '../../../../functions/catalog-api/api/schemas.ts'
import { recordArrivals } from '../../../../shared/catalogue/arrivals.ts'
import { openDatabase } from '../../../../shared/database/connect.ts'
import { serveHttp } from '../../../../shared/runtime/http.ts'
import { copyToTape, record } from '../../../support/catalogue.ts'
import { arrivalOf } from '../../../support/context.ts'
import { ANONYMOUS, caller, type RestApp, restApp } from '../../../support/functions/catalog-api/rest-app.ts'
import { BEGIN_OF_RUN, metadataOf, versionOf } from '../../../support/metadata.ts'
import { startSilentProxy } from '../../../support/silent-proxy.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let app: RestApp
const EVERYBODY = caller('read:*')

const HOUR = 3600
beforeAll(async () => {
  context = await startTestTapeContext()
  app = restApp(context, registerRuns)
  const runs: readonly {
    readonly n: number
    readonly tag: string
    readonly odb: Record<string, string | number>
  }[] = [
    {
      n: 1,
      tag: 'LNGS',
      odb: { GEM1_V: 440, exposure_sec: 0.30000001192092896, run_description: 'AmBe, 5 cm lead' },
    },
    {
      n: 2,
      tag: 'LNGS',
      odb: { GEM1_V: 430, exposure_sec: 0.5, run_description: '=HYPERLINK("http://x","y"), "quoted"' },
    },
    {
      n: 3,
      tag: 'LNGS',
      odb: { GEM1_V: -1, exposure_sec: 0.2, pedestal_run: 1, run_description: '100%_done' },
    },
    { n: 4, tag: 'LNF', odb: { GEM1_V: 440, exposure_sec: 0.3, run_description: 'at home' } },
    { n: 5, tag: 'FLASH/2024', odb: { sequence_filename: 'scan.msl' } },
  ]
  for (const { n, tag, odb } of runs) {
    const metadata = metadataOf(n)
    await record(
      context.database,
      versionOf(`${tag}/run${String(n).padStart(5, '0')}.mid.gz`, `etag-${n}`),
      {
        ...metadata,
        complete: n !== 2,
        problem: n === 2 ? { code: 'truncated', message: 'the file ends in an event', offset: 17 } : null,
        sizeBytes: 1000 * (10 - n),
        eventCount: n * 10,
        startedAt: BEGIN_OF_RUN + n * HOUR,
        stoppedAt: BEGIN_OF_RUN + n * HOUR + 60,
        odb: { ...metadata.odb, ...odb },
      },
      { tag },
    )
  }
  await copyToTape(context.database, 1)
})
afterAll(() => context.close())

const numbers = async (query: string, who = EVERYBODY) => {
  const { status, json } = await app.get(`/api/v1/runs?${query}`, who)
  expect(status, JSON.stringify(json)).toBe(200)
  return json.runs.map((run: { runNumber: number }) => run.runNumber)
}

describe('the state of copies in the ODB at the begin of run', () => {
  test('is not shown: it contradicts where the run is now', async () => {
    const { json } = await app.get('/api/v1/runs?tag=LNGS&to=1', EVERYBODY)
    expect(json.runs[0].storage).toMatchObject({ cloud: 'present', tape: 'on-media' })
    expect(Object.keys(json.runs[0].parameters).filter((name) => name.startsWith('storage_'))).toEqual([])
    expect((await app.get('/api/v1/runs?format=csv&to=1', EVERYBODY)).text.split('\r\n')[0]).not.toContain(
      'storage_',
    )
    expect((await app.get('/api/v1/runs?fields=param.storage_tape_status', EVERYBODY)).status).toBe(400)
  })

  test('is not searched: the refusal names the right filter', async () => {
    const { status, json } = await app.get('/api/v1/runs?param.storage_tape_status=1', EVERYBODY)
    expect([status, json.detail]).toEqual([
      400,
      'param.storage_tape_status: this is the state in the ODB at the begin of run; for the current one use cloud=present or tape=on-media',
    ])
  })
})

describe('the list of runs', () => {
  test('has the visible runs, the highest numbers first, as in its schema', async () => {
    const { status, json } = await app.get('/api/v1/runs', EVERYBODY)
    expect(status).toBe(200)
    expect(runPage.parse(json).runs.map((run) => run.runNumber)).toEqual([5, 4, 3, 2, 1])
    expect(json.next).toBeNull()
    expect(json.runs.at(-1)).toMatchObject({
      tag: 'LNGS',
      startedAt: new Date((BEGIN_OF_RUN + HOUR) * 1000).toISOString(),
      complete: true,
      pedestal: false,
      storage: { cloud: 'present', tape: 'on-media', local: null },
      parameters: { GEM1_V: 440 },
    })
  })

  test('for a number without a run report its arrivals, of tags that the caller may see', async () => {
    const key = (tag: string, subrun: number) => `${tag}/run04242sub${String(subrun).padStart(4, '0')}.mid.gz`
    const arrivals = [key('LNGS', 0), ...Array.from({ length: 25 }, (_, subrun) => key('LNF', subrun))]
    await recordArrivals(
      context.database,
      arrivals.map((each) => arrivalOf('cygno-data', each, 'e')),
      new Date(),
    )
    const heard = async (query: string, as = caller('read:*')): Promise<readonly string[] | undefined> =>
      (await app.get(`/api/v1/runs?${query}`, as)).json.heard
    expect(await heard('from=4242&to=4242', caller('read:LNGS'))).toEqual([
      expect.stringContaining(key('LNGS', 0)),
    ])
    expect(await heard('from=4242&to=4242')).toHaveLength(20)
    expect(await heard('from=4242&to=4242', caller('read:MAN'))).toBeUndefined()
    expect(await heard('from=4242&to=4243')).toBeUndefined()
    expect(await heard('from=2&to=2')).toBeUndefined()
  })

  test('shows no caller runs of other tags', async () => {
    expect(await numbers('', caller('read:LNGS'))).toEqual([3, 2, 1])
    expect(await numbers('', caller('read:LNF', 'link:LNGS'))).toEqual([4])
    expect((await app.get('/api/v1/runs?tag=LNF', caller('read:LNGS'))).status).toBe(403)
    expect((await app.get('/api/v1/runs?tag=LNGS&tag=LNF', caller('read:LNGS'))).status).toBe(403)
    expect((await app.get('/api/v1/runs', caller('link:*'))).status).toBe(403)
    expect((await app.get('/api/v1/runs', ANONYMOUS)).status).toBe(401)
    expect(await numbers('', { ...ANONYMOUS, scopes: ['read:LNF'] })).toEqual([4])
    expect((await app.get('/api/v1/runs?tag=LNGS', { ...ANONYMOUS, scopes: ['read:LNF'] })).status).toBe(401)
  })

  test.each([
    ['tag=LNGS', [3, 2, 1]],
    ['tag=LNGS&tag=LNF', [4, 3, 2, 1]],
    ['tag=FLASH%2F2024', [5]],
    ['from=2&to=3', [3, 2]],
    [`since=${new Date((BEGIN_OF_RUN + 2 * HOUR) * 1000).toISOString()}`, [5, 4, 3, 2]],
    [`until=${new Date((BEGIN_OF_RUN + 2 * HOUR) * 1000).toISOString()}`, [1]],
    ['since=2023-12-14T23:33:17%2B00:00&until=2023-12-15T00:33:17+00:00', [1]],
    ['since=2023-12-14&until=2023-12-15', [1]],
    ['since=2023-12-14T23:33:17&until=2023-12-15T00:33', [1]],
    ['since=2023-12-14%2023:33:17&until=2023-12-15+00:33', [1]],
    ['complete=false', [2]],
    ['complete=true&tag=LNGS', [3, 1]],
    ['pedestal=true', [3]],
    ['integrity=verified&from=5', [5]],
    ['integrity=mismatch', []],
    ['cloud=present&to=2', [2, 1]],
    ['cloud=deleted', []],
    ['tape=on-media', [1]],
    ['tape=none', [5, 4, 3, 2]],
    ['tape=failed', []],
    ['tape=on-media&cloud=present', [1]],
    ['text=ambe', [1]],
    ['text=%25_', [3]],
    ['text=%25%25', []],
    ['param.GEM1_V=440', [4, 1]],
    ['param.GEM1_V=440.0&tag=LNGS', [1]],
    ['param.GEM1_V.ne=440', [3, 2]],
    ['param.GEM1_V.lt=0', [3]],
    ['param.exposure_sec=0.3', [5, 4, 1]],
    ['param.exposure_sec.gt=0.3', [2]],
    ['param.exposure_sec.gte=0.3', [5, 4, 2, 1]],
    ['param.exposure_sec.lte=0.3&param.exposure_sec.gt=0.25', [5, 4, 1]],
    ['param.pedestal_run=true', [3]],
    ['param.sequence_filename=scan.msl', [5]],
    ['param.start_time.lt=2000-01-01', []],
    ['sort=run', [1, 2, 3, 4, 5]],
    ['sort=start', [1, 2, 3, 4, 5]],
    ['sort=-size', [1, 2, 3, 4, 5]],
    ['sort=-events', [5, 4, 3, 2, 1]],
    ['sort=catalogued', [1, 2, 3, 4, 5]],
    ['limit=2', [5, 4]],
  ])('%s', async (query, expected) => {
    expect(await numbers(query)).toEqual(expected)
  })

  test.each([
    'tag=',
    'tag=a//b',
    'from=-1',
    'from=1e3',
    'to=99999999999',
    'since=yesterday',
    'since=2024-13-01',
    'complete=maybe',
    'integrity=good',
    'cloud=everywhere',
    'tape=present',
    'sort=description',
    'limit=0',
    'limit=501',
    'limit=0&format=csv',
    'limit=1000000001&format=csv',
    'fields=secret',
    'fields=param.nothing',
    'fields=,',
    'format=xml',
    'tagg=LNGS',
    'param.nothing=1',
    'param.GEM1_V=high',
    'param.GEM1_V=',
    'param.GEM1_V=0x1F',
    'param.GEM1_V.like=440',
    'param.GEM1_V.gte.lt=440',
    "param.GEM1_V') OR 1=1 --=1",
    'param.GEM1_V=1&param.GEM1_V=2',
    'param.__proto__=1',
    'cursor=abc',
    'from=1&from=2',
    `text=${'x'.repeat(201)}`,
    Array.from(
      { length: 11 },
      (_, index) => `param.GEM${1 + (index % 3)}_V.${['lt', 'gt', 'ne', 'eq'][index % 4]}=${index}`,
    ).join('&'),
  ])('refuses %s', async (query) => {
    const { status, json, headers } = await app.get(`/api/v1/runs?${query}`, EVERYBODY)
    expect(status).toBe(400)
    expect(headers.get('content-type')).toBe('application/problem+json')
    expect(json.detail).toMatch(/\w/)
  })

  test('has only the fields that are asked for', async () => {
    const { json } = await app.get(
      '/api/v1/runs?tag=LNGS&limit=1&fields=runNumber,param.GEM1_V,param.PMT1_V',
      EVERYBODY,
    )
    expect(json.runs).toEqual([{ runNumber: 3, parameters: { GEM1_V: -1, PMT1_V: null } }])
    const { json: stored } = await app.get('/api/v1/runs?tag=LNGS&to=1&fields=storage', EVERYBODY)
    expect(stored.runs).toEqual([{ storage: { cloud: 'present', tape: 'on-media', local: null } }])
  })

  test('comes in pages that neither repeat nor leave out a run, whichever order they are in', async () => {
    for (const sort of ['run', '-run', 'start', '-start', 'size', '-size', '-events', 'catalogued']) {
      const seen: number[] = []
      let path: string | undefined = `/api/v1/runs?limit=2&sort=${sort}&fields=runNumber`
      while (path !== undefined) {
        const { json, headers } = await app.get(path, EVERYBODY)
        seen.push(...json.runs.map((run: { runNumber: number }) => run.runNumber))
        path = /^<(.*)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
        expect(path === undefined).toBe(json.next === null)
      }
      expect(seen.toSorted()).toEqual([1, 2, 3, 4, 5])
    }
  })

  test('a cursor of another order is refused', async () => {
    const { json } = await app.get('/api/v1/runs?limit=1', EVERYBODY)
    expect((await app.get(`/api/v1/runs?sort=size&cursor=${json.next}`, EVERYBODY)).status).toBe(400)
  })

  test.each([
    ['-start', 1e300, 1],
    ['-start', 9e15, 1],
    ['-start', '2024-01-01', 1],
    ['-start', 1, "1' OR 1=1"],
    ['-run', 1, -1],
    ['-run', 1.5, 1],
    ['-run', 1],
    ['-run', 1, 1, 1],
  ])('an invented cursor is refused: %j', async (...position) => {
    const cursor = Buffer.from(JSON.stringify(position)).toString('base64url')
    expect((await app.get(`/api/v1/runs?sort=${position[0]}&cursor=${cursor}`, EVERYBODY)).status).toBe(400)
  })

  test('takes the first and the last times that there are', async () => {
    for (const query of [
      'since=0000-01-01&until=9999-12-31',
      'since=9999-12-31T23:59:59-14:00',
      'until=0000-01-01T00:00:00%2B14:00',
    ])
      expect((await app.get(`/api/v1/runs?${query}`, EVERYBODY)).status, query).toBe(200)
    const cursor = Buffer.from(JSON.stringify(['-start', 253_402_300_799_999, 1])).toString('base64url')
    expect((await app.get(`/api/v1/runs?sort=-start&cursor=${cursor}`, EVERYBODY)).json.runs).toHaveLength(5)
  })

  test('is not sent again to a client that has it', async () => {
    const { headers } = await app.get('/api/v1/runs', EVERYBODY)
    const etag = headers.get('etag') ?? ''
    expect(headers.get('cache-control')).toContain('private')
    const again = await app.get('/api/v1/runs', EVERYBODY, { 'if-none-match': `"other", ${etag}` })
    expect([again.status, again.text]).toEqual([304, ''])
    for (const answer of [headers, again.headers]) expect(answer.get('vary')).toBe('accept, accept-encoding')
    expect((await app.get('/api/v1/runs?limit=1', EVERYBODY, { 'if-none-match': etag })).status).toBe(200)
  })

  test('leads on at the public address where there is one', async () => {
    const published = restApp(
      {
        ...context,
        config: {
          ...context.config,
          access: { ...context.config.access, publicUrl: 'https://cygnet.example.org/catalogue' },
        },
      },
      registerRuns,
    )
    const { headers } = await published.get('/api/v1/runs?limit=1&sort=run', EVERYBODY)
    expect(headers.get('link')).toMatch(
      /^<https:\/\/cygnet\.example\.org\/catalogue\/api\/v1\/runs\?limit=1&sort=run&cursor=[\w-]+>; rel="next"$/,
    )
  })
})

describe('as lines and as a table', () => {
  test('NDJSON holds all runs, a run a line', async () => {
    const { status, headers, text } = await app.get('/api/v1/runs', EVERYBODY, {
      accept: 'application/x-ndjson',
    })
    expect([status, headers.get('content-type')]).toEqual([200, 'application/x-ndjson'])
    const runs = text
      .trimEnd()
      .split('\n')
      .map((line) => runItem.parse(JSON.parse(line)))
    expect(runs.map((run) => run.runNumber)).toEqual([5, 4, 3, 2, 1])
  })

  test('what is asked for goes before what is accepted', async () => {
    const { headers } = await app.get('/api/v1/runs?format=json', EVERYBODY, { accept: 'text/csv' })
    expect(headers.get('content-type')).toBe('application/json')
  })

  test('browsers get JSON', async () => {
    const { headers } = await app.get('/api/v1/runs', EVERYBODY, {
      accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
    })
    expect(headers.get('content-type')).toBe('application/json')
  })

  test('CSV has a column for each field, and no text that a spreadsheet runs', async () => {
    const fields = 'runNumber,description,complete,storage,param.GEM1_V'
    const { headers, text } = await app.get(`/api/v1/runs?format=csv&tag=LNGS&fields=${fields}`, EVERYBODY)
    expect(headers.get('content-type')).toContain('text/csv')
    expect(text).toBe(
      [
        'runNumber,description,complete,cloud,tape,local,param.GEM1_V',
        '3,100%_done,true,present,none,,-1',
        '2,"\'=HYPERLINK(""http://x"",""y""), ""quoted""",false,present,none,,430',
        '1,"AmBe, 5 cm lead",true,present,on-media,,440',
        '',
      ].join('\r\n'),
    )
  })

  test('CSV has all parameters unless fields are named', async () => {
    const { text } = await app.get('/api/v1/runs?format=csv&limit=1', EVERYBODY)
    const [head = '', row = '', ...more] = text.split('\r\n')
    expect(head).toContain('tag,runNumber,startedAt')
    expect(head).toContain('param.GEM1_V')
    expect(row.startsWith('FLASH/2024,5,')).toBe(true)
    expect(more).toEqual([''])
  })

  test('follow one another over many pages, up to the limit', async () => {
    const rows = Array.from({ length: 1203 }, (_, index) => ({
      tag: 'MANY',
      runNumber: index + 1,
      startedEpoch: 1,
      isCurrent: true,
      integrity: 'verified' as const,
      startedAt: new Date(1_700_000_000_000 + (index % 7) * 1000),
      sizeBytes: index % 5,
      parameters: '{}',
      cataloguedAt: new Date(),
      updatedAt: new Date(),
    }))
    await context.database.insertInto('runs').values(rows).execute()
    for (const sort of ['run', '-start', 'size']) {
      const { text } = await app.get(
        `/api/v1/runs?format=ndjson&tag=MANY&fields=runNumber&sort=${sort}`,
        EVERYBODY,
      )
      const seen = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).runNumber)
      expect([seen.length, new Set(seen).size]).toEqual([1203, 1203])
    }
    const { text } = await app.get(
      '/api/v1/runs?format=csv&tag=MANY&fields=runNumber&sort=run&limit=701',
      EVERYBODY,
    )
    expect(text.trimEnd().split('\r\n').slice(-1)).toEqual(['701'])
  })

  describe('of very many runs', () => {
    const COUNT = 100_600
    beforeAll(async () => {
      await sql`INSERT INTO runs (tag, run_number, started_epoch, is_current, integrity, started_at, size_bytes, parameters, catalogued_at, updated_at)
        SELECT 'LOTS', seq, 1, 1, 'verified', '2024-01-01', 1, '{}', '2024-01-01', '2024-01-01' FROM ${sql.raw(`seq_1_to_${COUNT}`)}`.execute(
        context.database,
      )
    })

    test('hold all of them', async () => {
      const { text } = await app.get('/api/v1/runs?format=csv&tag=LOTS&fields=runNumber&sort=run', EVERYBODY)
      const lines = text.trimEnd().split('\r\n')
      expect([lines.length, lines.at(-1)]).toEqual([COUNT + 1, String(COUNT)])
    })

    test.each(['csv', 'ndjson'])(
      'break off when they cannot be read to their end, so that nobody takes them for all: %s',
      async (format) => {
        const url = new URL(context.catalogue.url)
        const proxy = await startSilentProxy(Number(url.port))
        url.port = String(proxy.port)
        const database = openDatabase(url.href, 1, { statementSeconds: 60, clientTimeoutMs: 5000 })
        const cut = restApp({ ...context, database }, registerRuns)
        const end = new AbortController()
        const host = await serveHttp({
          app: cut.api.app,
          log: context.log,
          signal: end.signal,
          hostname: '127.0.0.1',
          idleSeconds: 0,
        })
        await cut.get('/api/v1/runs?limit=1', EVERYBODY)
        const answer = await fetch(
          `http://127.0.0.1:${host.port}/api/v1/runs?format=${format}&tag=LOTS&sort=run`,
        )
        proxy.silence()
        expect(answer.status).toBe(200)
        await expect(answer.text()).rejects.toThrow()
        end.abort()
        await host.closed
        await database.destroy()
        await proxy.close()
      },
    )
  })
})
