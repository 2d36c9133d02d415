/**
 * Server-sent events: changes in the catalogue as they happen. An event is only a reason to reload; pages
 * also work without events. A stream ends after a while, for hosts and proxies that limit connections; the
 * browser then continues from its last position.
 *
 * A host that returns only complete answers (Lambda behind API Gateway, where each second also costs) sends
 * no stream: its answer contains what happened since the last one and ends, and the browser asks again. A
 * host that is shutting down, or has too many streams, does the same.
 */
import { tagsAllowed } from '../../../shared/access/caller.ts'
import type { Context } from '../../../shared/context.ts'
import { type Api, addPage } from '../http/route.ts'
import { type ChangeFeed, createChangeFeed, type Watcher } from './change-feed.ts'
import type { PageOptions } from './options.ts'

/** Each stream keeps a connection open. */
const MAX_STREAMS = 500
/**
 * Proxies close idle connections, often after a minute, and a page considers a connection dead after 40 s
 * (live.js). While the catalogue does not answer, nothing is sent: the page would otherwise continue to call
 * itself live although changes are unknown.
 */
const KEEP_ALIVE_MS = 15_000
/** How long browsers wait before they reconnect: after a stream, and after an answer without one. */
const RETRY_MS = 2000
const POLL_RETRY_MS = 5000

/**
 * `no-transform`: a compressing proxy would delay events. `x-accel-buffering`: buffering proxies (nginx) do
 * not buffer this answer.
 */
const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
} as const

export function registerEvents(
  api: Api,
  context: Context<'database'>,
  { live: { lastsSeconds, pollMs, aliveMs = KEEP_ALIVE_MS } }: PageOptions,
): void {
  const feed = createChangeFeed(context, pollMs)
  let streams = 0
  addPage(api, 'GET', '/api/v1/events', { right: 'read', anyTag: true }, async (c) => {
    const resumed = c.req.header('last-event-id') ?? ''
    const tags = tagsAllowed(c.get('caller'), 'read')
    const watcher = await feed.watch(tags, /^\d{1,15}$/.test(resumed) ? Number(resumed) : null)
    const ending = c.env?.ending
    if (ending === undefined || ending.aborted || streams >= MAX_STREAMS) {
      const retryMs = ending?.aborted === true ? RETRY_MS : POLL_RETRY_MS
      return c.body(
        [greeting(watcher, retryMs), ...news(watcher), positionOf(watcher)].join(''),
        200,
        HEADERS,
      )
    }
    const over = endOf([c.req.raw.signal, ending], lastsSeconds)
    const counted = async function* () {
      streams++
      try {
        yield* messages(watcher, feed, over, aliveMs)
      } catch {
        // The feed has logged the error. The browser reconnects; until then the page stays as it is.
      } finally {
        streams--
        over.clear()
      }
    }
    return c.body(ReadableStream.from(counted()).pipeThrough(new TextEncoderStream()), 200, HEADERS)
  })
}

interface End {
  readonly signal: AbortSignal
  readonly reached: Promise<void>
  clear(): void
}

/**
 * Resolves when one of the signals aborts or the time is over. AbortSignal.any would keep every stream in
 * memory for the host's lifetime.
 */
function endOf(signals: readonly AbortSignal[], lastsSeconds: number): End {
  const over = new AbortController()
  const { promise: reached, resolve } = Promise.withResolvers<void>()
  const clear = () => {
    clearTimeout(timer)
    for (const signal of signals) signal.removeEventListener('abort', end)
  }
  const end = () => {
    clear()
    over.abort()
    resolve()
  }
  const timer = setTimeout(end, lastsSeconds * 1000)
  for (const signal of signals) {
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  }
  return { signal: over.signal, reached, clear }
}

/** The text of the stream, message by message, until it ends. */
async function* messages(
  watcher: Watcher,
  feed: ChangeFeed,
  over: End,
  aliveMs: number,
): AsyncGenerator<string> {
  yield greeting(watcher, RETRY_MS)
  let toldAt = performance.now()
  while (!over.signal.aborted) {
    const found = news(watcher)
    const isSilent = found.length === 0 && performance.now() - toldAt >= aliveMs
    yield* isSilent ? [keepAlive(watcher)] : found
    if (isSilent || found.length > 0) toldAt = performance.now()
    await Promise.race([feed.next(), over.reached])
  }
  yield positionOf(watcher)
}

const greeting = (watcher: Watcher, retryMs: number): string =>
  `retry: ${retryMs}\nid: ${watcher.upTo()}\nevent: ready\ndata: ${JSON.stringify({ missed: watcher.missed })}\n\n`

/** One data line each: JSON contains no line break. */
const news = (watcher: Watcher): readonly string[] =>
  watcher
    .take()
    .map(
      ({ at, tag, runNumber, what, detail, upTo }) =>
        `id: ${upTo}\nevent: run\ndata: ${JSON.stringify({ at, tag, runNumber, what, detail })}\n\n`,
    )

/** An event that the page receives: browsers do not report a connection that is silent but not closed. */
const keepAlive = (watcher: Watcher): string => `id: ${watcher.upTo()}\nevent: alive\ndata: {}\n\n`

/**
 * The position without an event, since the page may not see all changes, but the browser continues from
 * there.
 */
const positionOf = (watcher: Watcher): string => `id: ${watcher.upTo()}\n\n`
