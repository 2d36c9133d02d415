/**
 * Server-sent events: what changes in the catalogue, told as it happens. A change is a reason to look again,
 * not a record: pages work without. A stream ends after a while, for hosts and proxies that let none last;
 * the browser then goes on where it was.
 *
 * A host that hands on answers only as a whole (Lambda behind API Gateway, where each second also costs) gets
 * no stream: the answer has what happened since the last one, ends, and the browser asks again. So does a
 * host that is going away, or has too many.
 */
import { tagsAllowed } from '../../../shared/access/caller.ts'
import type { Context } from '../../../shared/context.ts'
import { type Api, addPage } from '../http/route.ts'
import { type ChangeFeed, createChangeFeed, type Watcher } from './change-feed.ts'
import type { PageOptions } from './options.ts'

/** Each keeps a connection open. */
const MOST_STREAMS = 500
/**
 * Proxies cut connections on which nothing comes, often after a minute, and a page takes one for dead after
 * 40 s (live.js). While the catalogue does not answer nothing is sent: the page would go on to call itself
 * live, and nobody knows what has changed.
 */
const ALIVE_MS = 15_000
/** How long browsers wait before they ask again: after a stream, and after an answer that was none. */
const RETRY_MS = 2000
const POLL_RETRY_MS = 5000

/**
 * `no-transform`: a proxy that compresses would hold back what is told. `x-accel-buffering`: those that
 * collect answers (nginx) do not collect this one.
 */
const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
} as const

export function registerEvents(
  api: Api,
  context: Context<'database'>,
  { live: { lastsSeconds, pollMs, aliveMs = ALIVE_MS } }: PageOptions,
): void {
  const feed = createChangeFeed(context, pollMs)
  let streams = 0
  addPage(api, 'GET', '/api/v1/events', { right: 'read', anyTag: true }, async (c) => {
    const resumed = c.req.header('last-event-id') ?? ''
    const tags = tagsAllowed(c.get('caller'), 'read')
    const watcher = await feed.watch(tags, /^\d{1,15}$/.test(resumed) ? Number(resumed) : null)
    const ending = c.env?.ending
    if (ending === undefined || ending.aborted || streams >= MOST_STREAMS) {
      const retryMs = ending?.aborted === true ? RETRY_MS : POLL_RETRY_MS
      return c.body([beginning(watcher, retryMs), ...news(watcher), placeOf(watcher)].join(''), 200, HEADERS)
    }
    const over = endOf([c.req.raw.signal, ending], lastsSeconds)
    const counted = async function* () {
      streams++
      try {
        yield* messages(watcher, feed, over, aliveMs)
      } catch {
        // The feed has logged it. The browser asks again; until then the page shows what it showed.
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
 * When one of the signals aborts or the time is over. AbortSignal.any would keep each stream for as long as
 * the host lives.
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

/** The text of the stream, message by message, until it is over. */
async function* messages(
  watcher: Watcher,
  feed: ChangeFeed,
  over: End,
  aliveMs: number,
): AsyncGenerator<string> {
  yield beginning(watcher, RETRY_MS)
  let toldAt = performance.now()
  while (!over.signal.aborted) {
    const found = news(watcher)
    const isSilent = found.length === 0 && performance.now() - toldAt >= aliveMs
    yield* isSilent ? [signOfLife(watcher)] : found
    if (isSilent || found.length > 0) toldAt = performance.now()
    await Promise.race([feed.next(), over.reached])
  }
  yield placeOf(watcher)
}

const beginning = (watcher: Watcher, retryMs: number): string =>
  `retry: ${retryMs}\nid: ${watcher.upTo()}\nevent: ready\ndata: ${JSON.stringify({ missed: watcher.missed })}\n\n`

/** One line of data each: JSON holds no line break. */
const news = (watcher: Watcher): readonly string[] =>
  watcher
    .take()
    .map(
      ({ at, tag, runNumber, what, detail, upTo }) =>
        `id: ${upTo}\nevent: run\ndata: ${JSON.stringify({ at, tag, runNumber, what, detail })}\n\n`,
    )

/** An event that a page hears: no browser tells it of a connection that is silent and not closed. */
const signOfLife = (watcher: Watcher): string => `id: ${watcher.upTo()}\nevent: alive\ndata: {}\n\n`

/** No event for the page, which may not see all that happened, but the browser goes on from there. */
const placeOf = (watcher: Watcher): string => `id: ${watcher.upTo()}\n\n`
