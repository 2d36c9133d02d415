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
    const body = await runFileBytes({ runNumber: 1, camera: 16, events: 12, digitizers: false })
    await measureLatency(context, body, 0, 20, signal)
    log(`latency of ${SAMPLES} objects of ${body.length} bytes`)
    const latency = await measureLatency(context, body, 1000, SAMPLES, signal)
    log(`${POURED} objects poured in`)
    const pouring = await measureThroughput(
      context,
      10_000,
      (from) => pour(context, body, from, signal),
      signal,
    )
    log(`${POURED} objects announced at once`)
    const embedded = readConnection(folder)
    if (embedded === null) throw new Error('the embedded store has no address')
    const backlog = await measureBacklog(context, embedded, body, 20_000, signal)
    return { objectBytes: body.length, latencyMs: latency, pouring, backlog }
  } finally {
    await context.close()
    await stack.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

// All objects have the same content, so the tag distinguishes them: the run number inside is always the same.
const keyOf = (index: number, prefix = 'BENCH') => `${prefix}${index}/run00001.mid.gz`

const put = (context: Context<'s3'>, key: string, body: Uint8Array) =>
  context.s3.send(new PutObjectCommand({ Bucket: context.config.store.rawBuckets[0], Key: key, Body: body }))

async function measureLatency(
  context: Context<'database' | 's3'>,
  body: Uint8Array,
  from: number,
  samples: number,
  signal: AbortSignal,
) {
  const taken: number[] = []
  for (let index = 0; index < samples; index++) {
    const key = keyOf(from + index)
    const began = performance.now()
    await put(context, key, body)
    while (!(await isThere(context, key))) await sleep(SEEN_EVERY_MS, undefined, { signal })
    taken.push(performance.now() - began)
  }
  taken.sort((a, b) => a - b)
  const at = (fraction: number) => taken[Math.min(taken.length - 1, Math.floor(taken.length * fraction))] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1), samples }
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

async function pour(
  context: Context<'s3'>,
  body: Uint8Array,
  from: number,
  signal: AbortSignal,
): Promise<void> {
  let next = from
  const upload = async () => {
    while (next < from + POURED && !signal.aborted) await put(context, keyOf(next++), body)
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
  from: number,
  work: (from: number) => Promise<void>,
  signal: AbortSignal,
): Promise<Throughput> {
  const before = await count(context)
  const began = performance.now()
  await work(from)
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
  body: Uint8Array,
  from: number,
  signal: AbortSignal,
): Promise<Throughput> {
  await controlEmbedded(embedded.control, { change: { notifications: false } })
  await pour(context, body, from, signal)
  const bucket = context.config.store.rawBuckets[0] ?? ''
  const announceAll = async () => {
    await reconcile(context, { bucket, prefix: '', graceSeconds: 0 }, signal)
  }
  return await measureThroughput(context, from, announceAll, signal)
}
