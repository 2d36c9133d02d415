/**
 * The demonstration: a private stack, a simulated DAQ, and a comparison of the results with the expected ones.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { startStack } from '../../infra/local/stack.ts'
import { loadConfig } from '../../shared/config/config.ts'
import type { Context } from '../../shared/context.ts'
import { createLogger } from '../../shared/log.ts'
import { describeRun, findRuns, type RunDetails } from '../../shared/queries/runs.ts'
import { QUEUES } from '../../shared/queue/queues.ts'
import { database, openContext, queues, s3 } from '../../shared/runtime/open-context.ts'
import { bytes, duration } from '../output.ts'
import { type WrittenRunFile, writeRunFile } from '../simulate/write.ts'
import { type DemoRun, demoRuns } from './stories.ts'

export interface DemoOptions {
  readonly folder: string
  /** Of its variables those of alerts count; without CYGNET_ALERTS they go to a local stand-in for Discord. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
  readonly onProgress: (line: string) => void
}

export interface DemoOutcome {
  readonly runNumber: number
  readonly tag: string
  readonly story: string
  readonly key: string
  readonly eventCount: number | null
  readonly sizeBytes: number
  readonly md5: string | null
  readonly adler32: string | null
  readonly sha256: string | null
  readonly integrity: string | null
  readonly complete: boolean | null
  /** From the end of the PUT until the row is in the catalogue, seconds. */
  readonly latencySeconds: number | null
  /** Where its copy on tape is, and how that was verified. */
  readonly tape: string | null
  readonly tapeVerifiedBy: string | null
  /** Queues that got a request about this run. */
  readonly requests: readonly string[]
  readonly problem: string | null
  readonly ok: boolean
  /** Differences from the expected result. */
  readonly wrong: readonly string[]
}

/** A message of an alert, as posted. */
export interface DemoAlert {
  readonly rule: string
  readonly runNumber: number | null
  readonly summary: string
  readonly channel: string
}

export interface DemoResult {
  readonly ok: boolean
  readonly seconds: number
  readonly runs: readonly DemoOutcome[]
  readonly alerts: readonly DemoAlert[]
  /** Messages waiting, by queue. */
  readonly queues: Readonly<Record<string, number>>
}

const TIMEOUT_MS = 30_000
const OF_ALERTS = /^CYGNET_(?:ALERTS?|DISCORD|ROTA)(?:_|$)/

export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const started = performance.now()
  const given = Object.entries(options.environment).filter(([name]) => OF_ALERTS.test(name))
  const hasChannels = given.some(([name]) => name === 'CYGNET_ALERTS' || name === 'CYGNET_ALERTS_FILE')
  const stack = await startStack({
    dataFolder: options.folder,
    extras: hasChannels ? [] : ['discord'],
    notifications: true,
    environment: Object.fromEntries(given),
    signal: options.signal,
    onProgress: options.onProgress,
  })
  const context = await openContext(
    loadConfig(stack.environment),
    'demo',
    [database, queues, s3],
    createLogger({ function: 'demo', level: 'silent' }),
  )
  try {
    options.onProgress('the DAQ starts: five runs')
    const pending: Promise<DemoOutcome>[] = []
    for (const run of demoRuns(new Date())) {
      const dropped = await dropRun(context, run, options)
      pending.push(watchRun(context, run, dropped, options))
    }
    const runs = await Promise.all(pending)
    const requests = runs.flatMap((run) => run.requests)
    const alertCount = requests.filter((queue) => queue === 'alerts').length
    const alerts = await untilShown(context, alertCount, options.signal)
    if (alerts.length < alertCount)
      options.onProgress(`${alertCount} alerts were raised, but ${alerts.length} are shown`)
    const queues = await waitingMessages(context, options.signal)
    // Nothing consumes the other queues yet; a tape request is done when the copy is there.
    const requested = requests.filter((queue) => queue !== 'tape-requests' && queue !== 'alerts').length
    const waiting = Object.values(queues).reduce((total, count) => total + count, 0)
    const ok = runs.every((run) => run.ok) && waiting === requested && alerts.length >= alertCount
    if (waiting !== requested)
      options.onProgress(`${requested} requests were made, but ${waiting} wait in the queues`)
    return { ok, seconds: (performance.now() - started) / 1000, runs, alerts, queues }
  } finally {
    await context.close()
    await stack.stop()
  }
}

interface Dropped {
  readonly file: WrittenRunFile
  /** End of the PUT, on the clock of `performance.now()`. */
  readonly putAt: number
}

/** Acts as the DAQ: writes a run and puts it into the bucket, without any knowledge of Cygnet. */
async function dropRun(context: Context<'s3'>, run: DemoRun, options: DemoOptions): Promise<Dropped> {
  const file = await writeRunFile(join(options.folder, 'daq'), run.simulation, null, {
    compression: run.compression,
    overwrite: true,
    signal: options.signal,
  })
  const name = `run ${file.runNumber}`
  options.onProgress(`${name}  written by the DAQ: ${run.story}, ${bytes(file.sizeBytes)}`)
  const put = {
    Bucket: context.config.store.rawBuckets[0],
    Key: file.key,
    Body: createReadStream(file.path),
    ContentLength: file.sizeBytes,
  }
  await context.s3.send(new PutObjectCommand(put), { abortSignal: options.signal })
  const putAt = performance.now()
  options.onProgress(`${name}  dropped as ${file.key}`)
  return { file, putAt }
}

async function watchRun(
  context: Context<'database'>,
  run: DemoRun,
  { file, putAt }: Dropped,
  options: DemoOptions,
): Promise<DemoOutcome> {
  const catalogued = await untilCatalogued(context, run, putAt, options.signal)
  const latencySeconds = catalogued === null ? null : (performance.now() - putAt) / 1000
  if (catalogued !== null)
    options.onProgress(
      `run ${file.runNumber}  catalogued after ${duration(latencySeconds ?? 0)}: ${catalogued.run.eventCount} events, ${catalogued.run.complete ? 'complete' : 'incomplete'}`,
    )
  const details = await untilOnTape(context, run, putAt, options.signal)
  const copy = details?.replicas.find((replica) => replica.kind === 'tape')
  if (copy?.state === 'on-media')
    options.onProgress(
      `run ${file.runNumber}  on tape after ${duration((performance.now() - putAt) / 1000)}, verified: ${copy.verifiedBy}`,
    )
  const live = details?.files.find((candidate) => candidate.isLive)
  const alert = details?.requests.find(({ name }) => name.startsWith('alert:'))
  const seen = {
    runNumber: file.runNumber,
    tag: run.simulation.tag,
    story: run.story,
    key: file.key,
    eventCount: details?.run.eventCount ?? null,
    sizeBytes: live?.sizeBytes ?? file.sizeBytes,
    md5: live?.md5 ?? null,
    adler32: live?.adler32 ?? null,
    sha256: live?.sha256 ?? null,
    integrity: live?.integrity ?? null,
    complete: details === null ? null : details.run.complete,
    latencySeconds,
    tape: details?.storage.tape ?? null,
    tapeVerifiedBy: copy?.verifiedBy ?? null,
    requests: (details?.requests ?? []).map((request) => request.queue).toSorted(),
    problem:
      details?.run.problem ??
      (alert === undefined ? null : alert.name.split(':')[1]?.replaceAll('-', ' ')) ??
      null,
  }
  const wrong =
    details === null
      ? [`not in the catalogue after ${TIMEOUT_MS / 1000} s`]
      : await differences(run, file, seen, details)
  return { ...seen, ok: wrong.length === 0, wrong }
}

const POLL_MS = 20

const untilCatalogued = (context: Context<'database'>, run: DemoRun, putAt: number, signal: AbortSignal) =>
  until(
    context,
    run,
    putAt,
    (details) => details.requests.every((request) => request.sentAt !== null) && details.files.length > 0,
    signal,
  )

/** The run when its copy on tape is verified, or as it is at the timeout. */
const untilOnTape = async (context: Context<'database'>, run: DemoRun, putAt: number, signal: AbortSignal) =>
  (await until(context, run, putAt, (details) => details.storage.tape === 'on-media', signal)) ??
  (await until(context, run, performance.now(), () => true, signal))

async function until(
  context: Context<'database'>,
  run: DemoRun,
  since: number,
  reached: (details: RunDetails) => boolean,
  signal: AbortSignal,
): Promise<RunDetails | null> {
  do {
    const [found] = await findRuns(context.database, {
      runNumber: run.simulation.runNumber,
      tag: run.simulation.tag,
    })
    const details = found === undefined ? null : await describeRun(context.database, found)
    if (details !== null && reached(details)) return details
    await sleep(POLL_MS, undefined, { signal })
  } while (performance.now() - since < TIMEOUT_MS)
  return null
}

/** Compares with the DAQ's own file and with the story. */
async function differences(
  run: DemoRun,
  file: WrittenRunFile,
  seen: Omit<DemoOutcome, 'ok' | 'wrong'>,
  details: RunDetails,
): Promise<readonly string[]> {
  const hashed = createHash('md5')
  for await (const chunk of createReadStream(file.path)) hashed.update(chunk)
  const triggers = details.events.find((row) => row.eventId === 1)?.events ?? 0
  const expectations: readonly (readonly [string, unknown, unknown])[] = [
    ['md5', seen.md5, hashed.digest('hex')],
    ['size', seen.sizeBytes, file.sizeBytes],
    ['complete', seen.complete, run.expected.complete],
    [
      'triggers',
      run.expected.complete ? triggers : triggers > 0 && triggers < run.simulation.events,
      run.expected.complete ? run.simulation.events : true,
    ],
    ['pedestal', details.run.pedestal === true, run.simulation.pedestal],
    ['requests', seen.requests.join(', '), run.expected.requests.join(', ')],
    ['the copy on tape', seen.tape, 'on-media'],
    ['a problem', seen.problem !== null, run.expected.problem],
  ]
  return expectations.flatMap(([what, is, should]) =>
    is === should ? [] : [`${what} is ${is}, should be ${should}`],
  )
}

/** The messages of alerts once there are so many, else those at the timeout. */
async function untilShown(
  { database }: Context<'database'>,
  count: number,
  signal: AbortSignal,
): Promise<readonly DemoAlert[]> {
  const since = performance.now()
  for (;;) {
    const shown = await database
      .selectFrom('alertPosts as post')
      .innerJoin('alerts as alert', 'alert.id', 'post.alertId')
      .select(['alert.rule', 'alert.runNumber', 'alert.summary', 'post.channel'])
      .where('post.messageId', 'is not', null)
      .orderBy('post.id')
      .execute()
    if (shown.length >= count || performance.now() - since > TIMEOUT_MS) return shown
    await sleep(POLL_MS, undefined, { signal })
  }
}

async function waitingMessages(
  context: Context<'queues'>,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const queues = QUEUES.filter(
    (queue) => !['runs', 'tape-requests', 'recall-requests', 'alerts'].includes(queue),
  )
  const depths = await Promise.all(queues.map((queue) => context.queues.depth(queue, signal)))
  return Object.fromEntries(queues.map((queue, index) => [queue, depths[index]?.waiting ?? 0]))
}
