/** Serves an HTTP function on a port, for OpenFaaS (of-watchdog), Knative, and development. */
import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer, type HttpBindings } from '@hono/node-server'
import type { Logger } from '../log.ts'
import type { HttpApp } from './handler.ts'

export interface HttpOptions {
  readonly app: HttpApp
  readonly log: Logger
  /** Begins the shutdown (SIGTERM): the host serves until no request was accepted for `idleSeconds`. */
  readonly signal: AbortSignal
  /** 0: any free port. */
  readonly port?: number
  readonly hostname?: string
  /** of-watchdog and Knative still send requests while they remove the host from their lists. */
  readonly idleSeconds?: number
  /** The host stops at the latest this long after the signal; open requests are then cut off. */
  readonly graceSeconds?: number
}

export interface HttpHost {
  readonly port: number
  /** Resolves when the last request was answered and the port is free. */
  readonly closed: Promise<void>
}

/**
 * Longer than gateways and their proxies keep an idle connection (nginx 60 s, Go's transport 90 s): the
 * client side closes first, so no request is lost on a connection that is being closed.
 */
const KEEP_ALIVE_MS = 600_000

/**
 * The conventional paths of Kubernetes, and those of OpenFaaS
 * (https://docs.openfaas.com/reference/workloads/).
 */
const HEALTH_PATHS: readonly string[] = ['/healthz', '/_/health', '/_/ready']

/**
 * Serves the app together with its health check (`GET /healthz`): 200 while the host accepts requests, 503
 * once it is shutting down (it still answers other requests then).
 * @returns when the port is open. @throws the system's error when it cannot be opened.
 */
export async function serveHttp(options: HttpOptions): Promise<HttpHost> {
  const { app, log, signal, idleSeconds = 2, graceSeconds = 25 } = options
  /** Without those being refused. */
  const open = new Set<IncomingMessage>()
  let lastBusy = performance.now()

  const fetch = async (request: Request, { incoming }: HttpBindings): Promise<Response> => {
    if (HEALTH_PATHS.includes(new URL(request.url).pathname)) return health(request.method, signal.aborted)
    return app.fetch(request, {
      ending: signal,
      clientAddress: incoming.socket?.remoteAddress,
      refuse: () => void open.delete(incoming as IncomingMessage),
    })
  }
  // http1 only: the type of createAdaptorServer includes http2 servers.
  const server = createAdaptorServer({
    fetch: (request, env) => fetch(request, env as HttpBindings),
  }) as Server
  server.keepAliveTimeout = KEEP_ALIVE_MS
  // Before the app has the request, which it may refuse at once.
  server.prependListener('request', (request, response) => {
    const counts = !HEALTH_PATHS.includes(request.url?.split('?')[0] ?? '')
    if (!counts) return
    open.add(request)
    if (signal.aborted) response.setHeader('connection', 'close')
    response.once('close', () => {
      if (open.delete(request)) lastBusy = performance.now()
    })
  })

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, options.hostname, resolve)
  })
  const { port } = server.address() as AddressInfo
  log.info({ port }, 'http-started')

  const closed = new Promise<void>((resolve) => {
    server.once('close', () => {
      log.info({ port }, 'http-stopped')
      resolve()
    })
  })
  const drain = () => {
    const began = performance.now()
    lastBusy = began
    const watch = setInterval(() => {
      const idle = open.size === 0 && performance.now() - lastBusy >= idleSeconds * 1000
      const over = performance.now() - began >= graceSeconds * 1000
      if (!idle && !over) return
      clearInterval(watch)
      if (open.size > 0) log.warn({ port, requests: open.size }, 'http-requests-cut-off')
      server.close()
      server.closeAllConnections()
    }, 20)
  }
  if (signal.aborted) drain()
  else signal.addEventListener('abort', drain, { once: true })
  return { port, closed }
}

function health(method: string, goingAway: boolean): Response {
  if (method !== 'GET' && method !== 'HEAD')
    return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } })
  return Response.json({ status: goingAway ? 'going away' : 'ok' }, { status: goingAway ? 503 : 200 })
}
