/**
 * A function as a process that serves HTTP: the entry point of its container on OpenFaaS, Knative and
 * elsewhere. HTTP functions are served directly; queue and schedule functions behind function-app.ts. SIGTERM
 * ends the process in order.
 */
import { type Config, loadConfig } from '../config/config.ts'
import type { Capability, Context } from '../context.ts'
import { createLogger } from '../log.ts'
import { endSignal } from './end-signal.ts'
import { queueApp, scheduleApp } from './function-app.ts'
import type { HttpApp, QueueHandler, ScheduleHandler } from './handler.ts'
import { serveHttp } from './http.ts'
import { type Opener, openContext } from './open-context.ts'

/** From the manifest, with the function's own `needs` and `createHandler`. */
export type ServedFunction<Needs extends Capability> = {
  readonly name: string
  readonly timeoutSeconds: number
  readonly needs: readonly Opener<Needs>[]
} & (
  | { readonly kind: 'http'; readonly createHandler: (context: Context<Needs>) => HttpApp }
  | { readonly kind: 'queue'; readonly createHandler: (context: Context<Needs>) => QueueHandler }
  | { readonly kind: 'schedule'; readonly createHandler: (context: Context<Needs>) => ScheduleHandler }
)

/**
 * Kubernetes kills 30 s after SIGTERM. Work still in progress shortly before is interrupted, and delivered
 * again.
 */
const INTERRUPT_AFTER_MS = 22_000
const GRACE_SECONDS = 25

/** The whole process: serves the function with the settings of the environment, or logs why it cannot. */
export async function runFunction<Needs extends Capability>(served: ServedFunction<Needs>): Promise<void> {
  try {
    await serveFunction(served, loadConfig())
  } catch (error) {
    createLogger({ function: served.name, level: 'info' }).fatal({ error }, 'function-cannot-run')
    process.exitCode = 1
  }
}

/**
 * Serves the function on `CYGNET_LISTEN_PORT` until SIGTERM or SIGINT.
 * @returns when the last request was answered and all connections are closed.
 * @throws the system's error when the port cannot be opened.
 */
async function serveFunction<Needs extends Capability>(
  served: ServedFunction<Needs>,
  config: Config,
): Promise<void> {
  const interrupt = new AbortController()
  endSignal.addEventListener('abort', () => setTimeout(() => interrupt.abort(), INTERRUPT_AFTER_MS).unref())
  const context = await openContext(config, served.name, served.needs)
  try {
    const { log } = context
    const app = appOf(served, context, interrupt.signal)
    const {
      host: { listenPort: port, listenAddress: hostname },
    } = config
    const host = await serveHttp({
      app,
      log,
      signal: endSignal,
      port,
      ...(hostname && { hostname }),
      graceSeconds: GRACE_SECONDS,
    })
    await host.closed
  } finally {
    await context.close()
  }
}

function appOf<Needs extends Capability>(
  served: ServedFunction<Needs>,
  context: Context<Needs>,
  stop: AbortSignal,
): HttpApp {
  const { name, timeoutSeconds } = served
  const options = { name, timeoutSeconds, stop, log: context.log }
  switch (served.kind) {
    case 'http':
      return served.createHandler(context)
    case 'queue':
      return queueApp(served.createHandler(context), options)
    case 'schedule':
      return scheduleApp(served.createHandler(context), options)
  }
}
