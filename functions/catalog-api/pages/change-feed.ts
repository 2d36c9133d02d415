/**
 * Recent changes, polled from the catalogue once for all open pages: each page waits for the same poll and
 * takes the changes that its caller may see. Without waiting pages there are no polls.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import type { Database } from '../../../shared/database/connect.ts'
import type { Logger } from '../../../shared/log.ts'
import { type Change, type ChangeReader, readChanges } from '../../../shared/queries/changes.ts'
import type { VisibleTags } from '../../../shared/queries/site-state.ts'

export interface FeedChange extends Change {
  /** A page that continues after this id misses no change up to now. */
  readonly upTo: number
}

/** One open page. */
export interface Watcher {
  /** Its position: the `afterId` with which it can continue later. */
  upTo(): number
  /** More changes occurred since its `afterId` than are kept: the page should reload everything. */
  readonly missed: boolean
  /** Changes that are new to it, oldest first. */
  take(): readonly FeedChange[]
}

export interface ChangeFeed {
  /** @param afterId the page's last position; null: start now. @throws what the database throws. */
  watch(tags: VisibleTags, afterId: number | null): Promise<Watcher>
  /** Resolves after the next poll, which is once in `pollMs`. @throws what the database throws. */
  next(): Promise<void>
}

/** Kept so that a page can continue after a restart, or after another process has served it. */
const MAX_CHANGES = 1000
const CHANGES_AT_START = 300
/** After a longer pause the feed starts again: reading on would take many steps. */
const MAX_IDLE_MS = 60_000

export function createChangeFeed(
  { database, log }: { readonly database: Database; readonly log: Logger },
  pollMs: number,
): ChangeFeed {
  let reader: ChangeReader | null = null
  let changes: readonly FeedChange[] = []
  /** The number of changes no longer kept, which keeps positions valid, and the id up to which they went. */
  let dropped = { count: 0, upTo: 0 }
  let polledAt = Number.NEGATIVE_INFINITY
  let polling: Promise<void> | null = null
  let nextPoll: Promise<void> | null = null

  const end = () => dropped.count + changes.length
  const upToAt = (place: number) => changes[Math.min(place, end()) - dropped.count - 1]?.upTo ?? dropped.upTo

  function drop(count: number): void {
    dropped = { count: dropped.count + count, upTo: changes[count - 1]?.upTo ?? dropped.upTo }
    changes = changes.slice(count)
  }

  async function begin(): Promise<ChangeReader> {
    const newest = (await readChanges(database, EVERY_TAG, null)).lastId()
    const fresh = await readChanges(database, EVERY_TAG, Math.max(0, newest - CHANGES_AT_START))
    drop(changes.length)
    dropped = { ...dropped, upTo: fresh.lastId() }
    return fresh
  }

  async function poll(): Promise<void> {
    if (performance.now() - polledAt > MAX_IDLE_MS) reader = null
    reader ??= await begin()
    let upTo = upToAt(end())
    const fresh = (await reader.next()).map((change): FeedChange => {
      // A line that was committed late has an id below those already reported.
      upTo = Math.max(upTo, change.id)
      return { ...change, upTo }
    })
    changes = [...changes, ...fresh]
    drop(Math.max(0, changes.length - MAX_CHANGES))
    polledAt = performance.now()
  }

  /** One poll at a time. */
  const pollOnce = (): Promise<void> => {
    polling ??= poll()
      .catch((error: unknown) => {
        log.warn({ error }, 'changes-not-known')
        throw error
      })
      .finally(() => {
        polling = null
      })
    return polling
  }

  return {
    async watch(tags, afterId) {
      if (performance.now() - polledAt > 2 * pollMs) await pollOnce()
      const maySee = ({ tag }: Change) => tags === EVERY_TAG || tags.includes(tag)
      const missed = afterId !== null && afterId < dropped.upTo
      const known =
        afterId === null || missed ? changes.length : changes.filter(({ upTo }) => upTo <= afterId).length
      let place = dropped.count + known
      return {
        missed,
        upTo: () => upToAt(place),
        take() {
          const fresh = changes.slice(Math.max(0, place - dropped.count))
          place = end()
          return fresh.filter(maySee)
        },
      }
    },
    next() {
      nextPoll ??= sleep(pollMs, undefined, { ref: false })
        .then(pollOnce)
        .finally(() => {
          nextPoll = null
        })
      // All waiting pages may have been closed.
      nextPoll.catch(() => {})
      return nextPoll
    },
  }
}
