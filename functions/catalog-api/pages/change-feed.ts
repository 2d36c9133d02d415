/**
 * What changed lately, asked of the catalogue once for all pages that are watched: each waits for the same
 * question, and takes from its answer what its caller may see. While nobody waits, nothing is asked.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import type { Database } from '../../../shared/database/connect.ts'
import type { Logger } from '../../../shared/log.ts'
import { type Change, type ChangeReader, readChanges } from '../../../shared/queries/changes.ts'
import type { VisibleTags } from '../../../shared/queries/site-state.ts'

export interface Told extends Change {
  /** Who goes on after this id misses nothing that was told until now. */
  readonly upTo: number
}

/** One watched page. */
export interface Watcher {
  /** Where it stands: to be given as `afterId` when it goes on later. */
  upTo(): number
  /** More was told since it went away than is remembered: it should look at all anew. */
  readonly missed: boolean
  /** What is new to it, oldest first. */
  take(): readonly Told[]
}

export interface ChangeFeed {
  /** @param afterId where the page stood; null: it begins now. @throws what the database throws. */
  watch(tags: VisibleTags, afterId: number | null): Promise<Watcher>
  /**
   * Resolves when the catalogue was asked again, which is once in `pollMs`. @throws what the database throws.
   */
  next(): Promise<void>
}

/** Those who come back find what they missed: after a restart, and after another process has served them. */
const REMEMBERED = 1000
const REMEMBERED_AT_START = 300
/** After a longer rest it begins anew: reading on from there would take many steps. */
const RESTED_MS = 60_000

export function createChangeFeed(
  { database, log }: { readonly database: Database; readonly log: Logger },
  pollMs: number,
): ChangeFeed {
  let reader: ChangeReader | null = null
  let told: readonly Told[] = []
  /** How many were forgotten, so that places stay true; and the id up to which. */
  let forgotten = { count: 0, upTo: 0 }
  let askedAt = Number.NEGATIVE_INFINITY
  let asking: Promise<void> | null = null
  let coming: Promise<void> | null = null

  const end = () => forgotten.count + told.length
  const upToAt = (place: number) => told[Math.min(place, end()) - forgotten.count - 1]?.upTo ?? forgotten.upTo

  function forget(count: number): void {
    forgotten = { count: forgotten.count + count, upTo: told[count - 1]?.upTo ?? forgotten.upTo }
    told = told.slice(count)
  }

  async function begin(): Promise<ChangeReader> {
    const newest = (await readChanges(database, EVERY_TAG, null)).lastId()
    const fresh = await readChanges(database, EVERY_TAG, Math.max(0, newest - REMEMBERED_AT_START))
    forget(told.length)
    forgotten = { ...forgotten, upTo: fresh.lastId() }
    return fresh
  }

  async function ask(): Promise<void> {
    if (performance.now() - askedAt > RESTED_MS) reader = null
    reader ??= await begin()
    let upTo = upToAt(end())
    const fresh = (await reader.next()).map((change): Told => {
      // A line that was committed late has an id below those that were told before it.
      upTo = Math.max(upTo, change.id)
      return { ...change, upTo }
    })
    told = [...told, ...fresh]
    forget(Math.max(0, told.length - REMEMBERED))
    askedAt = performance.now()
  }

  /** One question at a time. */
  const askNow = (): Promise<void> => {
    asking ??= ask()
      .catch((error: unknown) => {
        log.warn({ error }, 'changes-not-known')
        throw error
      })
      .finally(() => {
        asking = null
      })
    return asking
  }

  return {
    async watch(tags, afterId) {
      if (performance.now() - askedAt > 2 * pollMs) await askNow()
      const maySee = ({ tag }: Change) => tags === EVERY_TAG || tags.includes(tag)
      const missed = afterId !== null && afterId < forgotten.upTo
      const known =
        afterId === null || missed ? told.length : told.filter(({ upTo }) => upTo <= afterId).length
      let place = forgotten.count + known
      return {
        missed,
        upTo: () => upToAt(place),
        take() {
          const fresh = told.slice(Math.max(0, place - forgotten.count))
          place = end()
          return fresh.filter(maySee)
        },
      }
    },
    next() {
      coming ??= sleep(pollMs, undefined, { ref: false })
        .then(askNow)
        .finally(() => {
          coming = null
        })
      // Those who waited may all have gone.
      coming.catch(() => {})
      return coming
    },
  }
}
