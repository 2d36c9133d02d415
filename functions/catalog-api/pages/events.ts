/**
 * Server-sent events: what changes in the catalogue, told as it happens. A change is a reason to look again, not a record: pages
 * work without. A stream ends after a while, for hosts and proxies that let none last; the browser then goes on where it was.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { tagsAllowed } from '../../../shared/access/caller.ts'
import { type Change, type ChangeReader, readChanges } from '../../../shared/catalogue/changes.ts'
import type { TapeContext } from '../../../shared/runtime/context.ts'
import { refusal } from '../problem.ts'
import { type Api, addPage } from '../route.ts'
import type { PageOptions } from './options.ts'

/** Each asks the catalogue again and again. */
const MOST_STREAMS = 200
/** Proxies cut connections on which nothing comes, often after a minute. */
const HEARTBEAT_MS = 15_000
/** How long browsers wait before they ask again. */
const RETRY_MS = 2000

/** `x-accel-buffering`: proxies that collect answers (nginx) do not collect this one. */
const HEADERS = { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' } as const

export function registerEvents(api: Api, { database, log }: TapeContext, { live }: PageOptions): void {
  let streams = 0
  addPage(api, 'GET', '/api/v1/events', { right: 'read', anyTag: true }, async (c) => {
    if (streams >= MOST_STREAMS) throw refusal(503, 'too many pages are watched at the moment', { 'retry-after': '30' })
    const resumed = c.req.header('last-event-id') ?? ''
    const tags = tagsAllowed(c.get('caller'), 'read')
    const changes = await readChanges(database, tags, /^\d{1,15}$/.test(resumed) ? Number(resumed) : null)
    const over = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(live.lastsSeconds * 1000)])
    const counted = async function* () {
      streams++
      try {
        yield* messages(changes, { over, pollMs: live.pollMs })
      } catch (error) {
        // The browser asks again; until then the page shows what it showed.
        log.warn({ error }, 'events-ended')
      } finally {
        streams--
      }
    }
    return c.body(ReadableStream.from(counted()).pipeThrough(new TextEncoderStream()), 200, HEADERS)
  })
}

/** The text of the stream, message by message, until it is over. */
async function* messages(
  changes: ChangeReader,
  { over, pollMs }: { readonly over: AbortSignal; readonly pollMs: number },
): AsyncGenerator<string> {
  yield `retry: ${RETRY_MS}\nid: ${changes.lastId()}\nevent: ready\ndata: {}\n\n`
  let toldAt = performance.now()
  while (!over.aborted) {
    const found = await changes.next()
    for (const change of found) yield messageOf(change, changes.lastId())
    if (found.length > 0) toldAt = performance.now()
    else if (performance.now() - toldAt >= HEARTBEAT_MS) {
      yield ':\n\n'
      toldAt = performance.now()
    }
    await sleep(pollMs, undefined, { signal: over }).catch(() => {})
  }
}

/** One line of data: JSON holds no line break. */
function messageOf({ at, tag, runNumber, what, detail }: Change, id: number): string {
  return `id: ${id}\nevent: run\ndata: ${JSON.stringify({ at, tag, runNumber, what, detail })}\n\n`
}
