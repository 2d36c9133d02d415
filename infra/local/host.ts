/**
 * Runs one function of the manifest as a process of its own, under the host its trigger asks for: what Lambda, OpenFaaS or
 * Knative do elsewhere. Usage: `node infra/local/host.ts <function>`, with the settings in the environment.
 *
 * SIGTERM ends it in order: what is at work is finished first.
 */
import { writeFileSync } from 'node:fs'
import { loadConfig } from '../../shared/config.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { createStorageContext, type StorageContext } from '../../shared/runtime/context.ts'
import type { HttpApp, QueueHandler, ScheduleHandler } from '../../shared/runtime/handler.ts'
import { serveHttp } from '../../shared/runtime/http.ts'
import { pumpQueue } from '../../shared/runtime/pump.ts'
import { runSchedule } from '../../shared/runtime/schedule.ts'
import { type FunctionEntry, readManifest } from './manifest.ts'

/** Messages one local function works on at once; inflating and hashing use a thread each. */
const CONCURRENCY = 8
/** A message of a killed function comes back this soon. */
const VISIBILITY_SECONDS = 30

/** Written into the working folder when the function is ready; an HTTP function says where it listens. */
const READY_FILE = 'ready.json'

async function main(name: string | undefined): Promise<void> {
  const entry = readManifest().functions.find((candidate) => candidate.name === name)
  if (entry === undefined || name === undefined)
    throw new InvalidInputError(`there is no function ${name ?? '(no name given)'} in serverless.yml`)
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort())
  const context = createStorageContext(loadConfig(), name)
  try {
    await host(entry, context, stop.signal)
  } finally {
    await context.close()
  }
}

async function host(entry: FunctionEntry, context: StorageContext, signal: AbortSignal): Promise<void> {
  const { createHandler } = (await import(`../../functions/${entry.name}/handler.ts`)) as {
    createHandler: (context: StorageContext) => unknown
  }
  const handler = createHandler(context)
  const ready = (more: object = {}) => writeFileSync(READY_FILE, JSON.stringify({ pid: process.pid, ...more }))
  const common = { log: context.log, signal, timeoutSeconds: entry.timeoutSeconds }
  switch (entry.trigger.kind) {
    case 'queue': {
      const queueUrl = await context.queues.url(entry.trigger.queue as Parameters<typeof context.queues.url>[0], signal)
      ready()
      await pumpQueue({
        ...common,
        sqs: context.sqs,
        queueUrl,
        handler: handler as QueueHandler,
        concurrency: CONCURRENCY,
        visibilitySeconds: VISIBILITY_SECONDS,
      })
      return
    }
    case 'schedule':
      ready()
      await runSchedule({ ...common, expression: entry.trigger.expression, handler: handler as ScheduleHandler, name: entry.name })
      return
    case 'http': {
      const server = await serveHttp({ ...common, app: handler as HttpApp })
      ready({ port: server.port })
      await server.closed
    }
  }
}

await main(process.argv[2])
