/**
 * The catalogue's API on a million runs: the time of searches, single runs and links, and the requests per
 * second of the old tools' endpoint on one core, compared with a plain endpoint that runs `SELECT *`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { Agent, type Dispatcher } from 'undici'
import { runFileBytes } from '../cli/simulate/write.ts'
import { childEnvironment } from '../infra/local/environment.ts'
import { startMariadb } from '../infra/local/services/mariadb.ts'
import { createToken } from '../shared/access/tokens.ts'
import { openDatabase, WITHOUT_LIMITS } from '../shared/database/connect.ts'
import { migrate } from '../shared/database/migrate.ts'
import { extractFile } from '../shared/extraction/extract-file.ts'
import { DEFAULT_MAX_EVENT_BYTES } from '../shared/midas/reader.ts'
import { fillCatalogue, RARE, type Sizes } from './catalogue/fill.ts'

const SIZES: Sizes = { LNGS: 700_000, LNF: 200_000, MAN: 100_000 }
const BUFFER_POOL_BYTES = 4 * 2 ** 30

/** Of sequential requests, milliseconds. */
export interface Latency {
  readonly what: string
  readonly targetMs: number
  readonly samples: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  /** Aborted at the time limit of searches. */
  readonly refused: number
}

export interface LegacyRate {
  readonly what: string
  readonly bytes: number
  readonly oursPerSecond: number
  readonly plainPerSecond: number
}

export interface CatalogueBench {
  readonly runs: number
  readonly latencies: readonly Latency[]
  readonly legacy: readonly LegacyRate[]
}

export async function benchCatalogue(
  log: (line: string) => void,
  sizes: Sizes = SIZES,
): Promise<CatalogueBench> {
  const folder = mkdtempSync(join(tmpdir(), 'cygnet-bench-'))
  const mariadb = await startMariadb({ dataFolder: folder, fast: true })
  try {
    const admin = openDatabase(mariadb.adminUrl, 1)
    await sql`SET GLOBAL innodb_buffer_pool_size = ${sql.lit(BUFFER_POOL_BYTES)}`.execute(admin)
    await admin.destroy()
    const database = openDatabase(mariadb.url, 1, WITHOUT_LIMITS)
    await migrate(database)
    await fillCatalogue(database, sizes, await simulatedMetadata(), log)
    const { secret } = await createToken(
      database,
      { name: 'bench', scopes: ['read:*', 'link:*'], days: 1 },
      new Date(),
    )
    await database.destroy()
    const environment = settings(mariadb.url)
    const ours = await serve('serve.ts', environment, secret)
    const plain = await serve('plain-logbook.ts', environment, null)
    try {
      const latencies = []
      for (const { what, targetMs, requests } of benchmarks()) {
        log(what)
        latencies.push({ what, targetMs, ...(await ask(ours, requests)) })
      }
      const legacy = []
      for (const [what, seconds, address] of LEGACY) {
        log(`logbook, ${what}`)
        const bytes = (await ours.text(address(1))).length
        const [plainPerSecond, oursPerSecond] = [
          await rate(plain, address, seconds),
          await rate(ours, address, seconds),
        ]
        legacy.push({ what, bytes, oursPerSecond, plainPerSecond })
      }
      return { runs: Object.values(sizes).reduce((sum, count) => sum + count, 0), latencies, legacy }
    } finally {
      await ours.stop()
      await plain.stop()
    }
  } finally {
    await mariadb.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function simulatedMetadata() {
  const bytes = await runFileBytes({ runNumber: 1, camera: 16, events: 12, digitizers: true })
  const open = async function* () {
    yield bytes
  }
  const options = {
    igzip: 'never',
    maxEventBytes: DEFAULT_MAX_EVENT_BYTES,
    signal: AbortSignal.timeout(60_000),
  } as const
  return await extractFile({ fileName: 'run00001.mid.gz', open }, options)
}

/** The store and the queues are not used: links are signed, not checked. */
const settings = (databaseUrl: string) => ({
  ...childEnvironment(),
  CYGNET_DATABASE_URL: databaseUrl,
  CYGNET_S3_ENDPOINT: 'http://127.0.0.1:9',
  CYGNET_S3_ACCESS_KEY_ID: 'bench',
  CYGNET_S3_SECRET_ACCESS_KEY: 'bench-secret',
  CYGNET_SQS_ENDPOINT: 'http://127.0.0.1:9',
  CYGNET_SQS_ACCESS_KEY_ID: 'bench',
  CYGNET_SQS_SECRET_ACCESS_KEY: 'bench-secret',
  CYGNET_REQUESTS_PER_MINUTE: '0',
  CYGNET_LOG_LEVEL: 'silent',
})

interface Server {
  request(path: string, init?: { readonly body?: unknown }): Promise<Dispatcher.ResponseData>
  text(path: string): Promise<string>
  stop(): Promise<void>
}

/** On a core of its own, where the machine supports that. */
async function serve(script: string, environment: NodeJS.ProcessEnv, token: string | null): Promise<Server> {
  const program = fileURLToPath(new URL(`./catalogue/${script}`, import.meta.url))
  const child: ChildProcess = spawn('taskset', ['-c', '0', process.execPath, program], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [port] = (await once(createInterface({ input: child.stdout ?? process.stdin }), 'line')) as [string]
  const agent = new Agent({ connections: 8, headersTimeout: 120_000, bodyTimeout: 120_000 })
  const headers = {
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    'content-type': 'application/json',
  }
  const server: Server = {
    request: (path, { body } = {}) =>
      agent.request({
        origin: `http://127.0.0.1:${port}`,
        path: path as `/${string}`,
        method: body === undefined ? 'GET' : 'POST',
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    text: async (path) => await (await server.request(path)).body.text(),
    async stop() {
      child.kill('SIGTERM')
      await Promise.all([once(child, 'exit'), agent.destroy()])
    },
  }
  return server
}

interface Request {
  readonly path: string
  readonly body?: unknown
}

interface Benchmark {
  readonly what: string
  readonly targetMs: number
  readonly requests: readonly Request[]
}

const EACH = 40
const times = (path: (index: number) => string): readonly Request[] =>
  Array.from({ length: EACH }, (_, index) => ({ path: path(index) }))
/** A run of LNGS, a different one each time, the same in each benchmark. */
const someRun = (index: number) => 1 + ((index * 7919 * 31) % 690_000)
const iso = (index: number) => new Date((1_600_000_000 + someRun(index) * 300) * 1000).toISOString()

function benchmarks(): readonly Benchmark[] {
  const lists = ['-run', 'run', '-start', '-size', 'events', '-catalogued'].flatMap((sort) =>
    times((at) => `/api/v1/runs?limit=50&sort=${sort}${at % 2 === 0 ? '' : '&tag=LNGS'}`),
  )
  const filters = [
    times((at) => `/api/v1/runs?tag=LNGS&from=${someRun(at)}&to=${someRun(at) + 1000}`),
    times((at) => `/api/v1/runs?since=${iso(at)}`),
    times((at) => `/api/v1/runs?tag=LNGS&since=${iso(at)}&pedestal=true`),
    times((at) => `/api/v1/runs?to=${someRun(at)}&complete=false`),
    times((at) => `/api/v1/runs?tape=${['failed', 'under-way', 'none', 'on-media'][at % 4]}`),
    times(
      (at) =>
        `/api/v1/runs?tag=LNGS&cloud=${['present', 'deleted', 'suspicious', 'partly'][at % 4]}&sort=-start`,
    ),
    times(() => '/api/v1/runs?integrity=mismatch'),
    times((at) => `/api/v1/runs?to=${someRun(at)}&param.GEM1_V.gte=430&param.HV_STATE=1`),
    times((at) => `/api/v1/runs?tag=LNGS&since=${iso(at)}&param.total_gas_flow.lt=21`),
    times((at) => `/api/v1/runs?text=AmBe&to=${someRun(at)}`),
  ].flat()
  const within = times(
    (at) =>
      `/api/v1/runs?tag=LNGS&from=${someRun(at)}&to=${someRun(at) + 20_000}&param.GEM1_V=${RARE.voltage}`,
  )
  return [
    { what: 'lists of 50 runs, six orders', targetMs: 50, requests: lists },
    { what: 'lists with filters, ten kinds', targetMs: 50, requests: filters },
    {
      what: 'lists up to a number, in the order of time',
      targetMs: 50,
      requests: times((at) => `/api/v1/runs?tag=LNGS&to=${someRun(at)}&sort=-start`),
    },
    {
      what: 'one run with everything',
      targetMs: 20,
      requests: times((at) => `/api/v1/runs/LNGS/${someRun(at)}`),
    },
    {
      what: '100 links',
      targetMs: 50,
      requests: times(String).map((_, at) => ({ path: '/api/v1/links', body: { runs: hundredRuns(at) } })),
    },
    { what: 'a parameter that no run of 20,000 has', targetMs: 50, requests: within },
    {
      what: 'a parameter that three runs of all have',
      targetMs: 50,
      requests: times(() => `/api/v1/runs?param.GEM1_V=${RARE.voltage}`).slice(0, 3),
    },
    {
      what: 'a text that three runs of all have',
      targetMs: 50,
      requests: times(() => `/api/v1/runs?text=${encodeURIComponent(RARE.text)}`).slice(0, 3),
    },
  ]
}

/** One in three is still in the store. */
const hundredRuns = (at: number) =>
  Array.from({ length: 100 }, (_, index) => ({ tag: 'LNGS', run: 3 * (1000 * at + index + 1) }))

const REFUSED = 422

async function ask(server: Server, requests: readonly Request[]) {
  for (const { path, body } of requests.slice(0, 10)) await (await server.request(path, { body })).body.dump()
  const taken: number[] = []
  let refused = 0
  for (const { path, body } of requests) {
    const began = performance.now()
    const answer = await server.request(path, { body })
    const text = await answer.body.text()
    taken.push(performance.now() - began)
    if (answer.statusCode === REFUSED) refused++
    else if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode} ${text.slice(0, 300)}`)
  }
  taken.sort((a, b) => a - b)
  const at = (fraction: number) => taken[Math.min(taken.length - 1, Math.floor(taken.length * fraction))] ?? 0
  return { samples: taken.length, p50: at(0.5), p99: at(0.99), max: at(1), refused }
}

/** The query, for how many seconds, and its address. */
const LEGACY: readonly (readonly [string, number, (index: number) => string])[] = [
  ['one run', 6, (at) => `/cygno_sql_query.php?site=lngs&run=${someRun(at)}`],
  [
    '2000 runs, as the reconstruction asks',
    15,
    (at) => `/cygno_sql_query.php?site=lngs&start=${someRun(at)}&end=${someRun(at) + 2001}`,
  ],
  ['a whole site of 100,000 runs', 30, () => '/cygno_sql_query.php?site=man&start=0&end=100000000'],
]

const CLIENTS = 4

/** Requests per second of some clients that each send one request after the other. */
async function rate(server: Server, address: (index: number) => string, seconds: number): Promise<number> {
  for (let index = 0; index < 2; index++) await server.text(address(index))
  const began = performance.now()
  let done = 0
  let next = 0
  const client = async () => {
    while (performance.now() - began < seconds * 1000) {
      const answer = await server.request(address(next++))
      await answer.body.dump({ limit: Number.MAX_SAFE_INTEGER })
      if (answer.statusCode !== 200) throw new Error(`the logbook answered ${answer.statusCode}`)
      done++
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  return done / ((performance.now() - began) / 1000)
}
