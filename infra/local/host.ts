/**
 * Runs one function of the manifest as a separate process, under the host for its trigger, like Lambda, OpenFaaS
 * or Knative in other installations. Usage: `node infra/local/host.ts <function> <ready file> [port]`, with the
 * settings in the environment.
 *
 * At SIGTERM it finishes the work in progress first.
 */
import { writeFileSync } from 'node:fs'
import { loadConfig } from '../../shared/config/config.ts'
import type { Capability, Context } from '../../shared/context.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { createSqsClient } from '../../shared/queue/client.ts'
import { createQueues, type QueueName } from '../../shared/queue/queues.ts'
import type { HttpApp, QueueHandler, ScheduleHandler } from '../../shared/runtime/handler.ts'
import { serveHttp } from '../../shared/runtime/http.ts'
import { type Opener, openContext } from '../../shared/runtime/open-context.ts'
import { pumpQueue } from '../../shared/runtime/pump.ts'
import { runSchedule } from '../../shared/runtime/schedule.ts'
import { endWithStarter } from './lifeline.ts'
import { type FunctionEntry, readManifest } from './manifest.ts'

/** Messages that a local function processes at the same time; inflating and hashing use a thread each. */
const CONCURRENCY = 8
/** After this time a message of a killed function is delivered again. */
const VISIBILITY_SECONDS = 15
/** After SIGTERM an HTTP function stops when it had no request for so long. */
const IDLE_SECONDS = 0.1

interface FunctionCode {
  readonly needs: readonly Opener<Capability>[]
  createHandler(context: Context<Capability>): unknown
}

async function main(name = '', readyFile = '', port = '0'): Promise<void> {
  const entry = readManifest().functions.find((candidate) => candidate.name === name)
  if (entry === undefined) throw new InvalidInputError(`there is no function "${name}" in serverless.yml`)
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort())
  endWithStarter(() => stop.abort())
  const code = (await import(`../../functions/${name}/handler.ts`)) as FunctionCode
  const context = await openContext(loadConfig(), name, code.needs)
  try {
    await host(entry, context, code.createHandler(context), {
      signal: stop.signal,
      port: Number(port),
      ready: () => writeFileSync(readyFile, String(process.pid)),
    })
  } finally {
    await context.close()
  }
}

async function host(
  entry: FunctionEntry,
  { config, log }: Context,
  handler: unknown,
  {
    signal,
    port,
    ready,
  }: { readonly signal: AbortSignal; readonly port: number; readonly ready: () => void },
): Promise<void> {
  const common = { log, signal, timeoutSeconds: entry.timeoutSeconds }
  switch (entry.trigger.kind) {
    case 'queue': {
      const sqs = createSqsClient(config)
      const queueUrl = await createQueues(sqs, config.queue.prefix).url(
        entry.trigger.queue as QueueName,
        signal,
      )
      ready()
      const pump = { sqs, queueUrl, concurrency: CONCURRENCY, visibilitySeconds: VISIBILITY_SECONDS }
      await pumpQueue({ ...common, ...pump, handler: handler as QueueHandler })
      sqs.destroy()
      return
    }
    case 'schedule':
      ready()
      await runSchedule({
        ...common,
        name: entry.name,
        runAtStart: true,
        expression: entry.trigger.expression,
        handler: handler as ScheduleHandler,
      })
      return
    case 'http': {
      const server = await serveHttp({
        ...common,
        hostname: '127.0.0.1',
        port,
        idleSeconds: IDLE_SECONDS,
        app: handler as HttpApp,
      })
      ready()
      await server.closed
    }
  }
}

const [name, readyFile, port] = process.argv.slice(2)
await main(name, readyFile, port)
