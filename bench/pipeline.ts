/** From PUT to catalogue row: latency of single small objects, and objects per second under load. */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { runFileBytes } from '../cli/simulate/write.ts'
import {
  type Connection,
  controlEmbedded,
  readConnection,
} from '../infra/local/services/embedded/embedded.ts'
import { startStack } from '../infra/local/stack.ts'
import { loadConfig } from '../shared/config/config.ts'
import type { Context } from '../shared/context.ts'
import { reconcile } from '../shared/ingest/reconcile.ts'
import { createLogger } from '../shared/log.ts'
import { database, openContext, queues, s3 } from '../shared/runtime/open-context.ts'

export interface PipelineResult {
  readonly objectBytes: number
  /** From the start of the PUT until another connection sees the row, ms. */
  readonly latencyMs: {
    readonly p50: number
    readonly p99: number
    readonly max: number
    readonly samples: number
  }
  /** Uploading and cataloguing at the same time, all on this machine. */
  readonly pouring: Throughput
  /** Objects stored before, announced all at once. */
  readonly backlog: Throughput
}

interface Throughput {
  readonly objects: number
  readonly objectsPerSecond: number
  readonly lost: number
}

const SAMPLES = 200
const POURED = 2000
const UPLOADS_AT_ONCE = 16
const TIMEOUT_MS = 120_000
const SEEN_EVERY_MS = 2

export async function benchPipeline(
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<PipelineResult> {
  const folder = mkdtempSync(join(tmpdir(), 'cygnet-bench-'))
  const stack = await startStack({
    dataFolder: folder,
    extras: [],
    notifications: true,
    workers: availableParallelism(),
    signal,
  })
  const context = await openContext(
    loadConfig(stack.environment),
    'bench',
    [database, queues, s3],
    createLogger({ function: 'bench', level: 'silent' }),
  )
  try {
    await measureLatency(context, await simulate(0, 20), signal)
    const samples = await simulate(1000, SAMPLES)
    const objectBytes = samples[0]?.body.length ?? 0
    log(`latency of ${SAMPLES} objects of ${objectBytes} bytes`)
    const latency = await measureLatency(context, samples, signal)
    const poured = await simulate(10_000, POURED)
    log(`${POURED} objects poured in`)
    const pouring = await measureThroughput(context, () => pour(context, poured, signal), signal)
    log(`${POURED} objects announced at once`)
    const embedded = readConnection(folder)
    if (embedded === null) throw new Error('the embedded store has no address')
    const backlog = await measureBacklog(context, embedded, await simulate(20_000, POURED), signal)
    return { objectBytes, latencyMs: latency, pouring, backlog }
  } finally {
    await context.close()
    await stack.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Run {
  readonly key: string
  readonly body: Uint8Array
}

async function simulate(firstRun: number, count: number): Promise<Run[]> {
  const runs: Run[] = []
  for (let runNumber = firstRun; runNumber < firstRun + count; runNumber++) {
    const body = await runFileBytes({ runNumber, seed: runNumber, camera: 16, events: 12, digitizers: false })
    runs.push({ key: `BENCH/run${String(runNumber).padStart(5, '0')}.mid.gz`, body })
  }
  return runs
}

const put = (context: Context<'s3'>, { key, body }: Run) =>
  context.s3.send(new PutObjectCommand({ Bucket: context.config.store.rawBuckets[0], Key: key, Body: body }))

async function measureLatency(
  context: Context<'database' | 's3'>,
  runs: readonly Run[],
  signal: AbortSignal,
) {
  const taken: number[] = []
  for (const run of runs) {
    const began = performance.now()
    await put(context, run)
    while (!(await isThere(context, run.key))) await sleep(SEEN_EVERY_MS, undefined, { signal })
    taken.push(performance.now() - began)
  }
  taken.sort((a, b) => a - b)
  const at = (fraction: number) => taken[Math.min(taken.length - 1, Math.floor(taken.length * fraction))] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1), samples: runs.length }
}

async function isThere(context: Context<'database'>, key: string): Promise<boolean> {
  const row = await context.database
    .selectFrom('runFiles')
    .select('id')
    .where('bucket', '=', context.config.store.rawBuckets[0] ?? '')
    .where('objectKey', '=', key)
    .executeTakeFirst()
  return row !== undefined
}

async function pour(context: Context<'s3'>, runs: readonly Run[], signal: AbortSignal): Promise<void> {
  const waiting = runs.values()
  const upload = async () => {
    for (const run of waiting) if (!signal.aborted) await put(context, run)
  }
  await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, upload))
}

async function count(context: Context<'database'>): Promise<number> {
  const row = await context.database
    .selectFrom('runFiles')
    .select((of) => of.fn.countAll<number>().as('files'))
    .executeTakeFirstOrThrow()
  return Number(row.files)
}

async function measureThroughput(
  context: Context<'database'>,
  work: () => Promise<void>,
  signal: AbortSignal,
): Promise<Throughput> {
  const before = await count(context)
  const began = performance.now()
  await work()
  let there = 0
  while (there < POURED && performance.now() - began < TIMEOUT_MS) {
    await sleep(20, undefined, { signal })
    there = (await count(context)) - before
  }
  const seconds = (performance.now() - began) / 1000
  return { objects: POURED, objectsPerSecond: there / seconds, lost: POURED - there }
}

/** The objects are stored without notifications, until the listing announces them all at once. */
async function measureBacklog(
  context: Context<'database' | 'queues' | 's3'>,
  embedded: Connection,
  runs: readonly Run[],
  signal: AbortSignal,
): Promise<Throughput> {
  await controlEmbedded(embedded.control, { change: { notifications: false } })
  await pour(context, runs, signal)
  const bucket = context.config.store.rawBuckets[0] ?? ''
  const announceAll = async () => {
    await reconcile(context, { bucket, prefix: '', graceSeconds: 0 }, signal)
  }
  return await measureThroughput(context, announceAll, signal)
}
