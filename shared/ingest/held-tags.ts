/**
 * The first listing of a full bucket: what is older than the take-over time of its tag is history, and the
 * many old objects of a tag that has no such time wait until a person has set one (ADR 19).
 */
import { alreadyNew, isBefore, OTHER_TAGS, takeOverTimes } from '../catalogue/take-over.ts'
import type { Context } from '../context.ts'
import type { Database } from '../database/connect.ts'
import { folderOf, isTag, type ObjectVersion } from '../run.ts'
import { latestDate } from '../storage/store-clock.ts'
import { cutText } from '../text.ts'
import { addRequests } from '../work/outbox.ts'
import { alert } from '../work/raise-alert.ts'
import { sendRequests } from '../work/send-requests.ts'
import { listTag, unknownOf } from './list-tag.ts'

/** An object that is not in the ledger (or is, when `isKnown`) and has to be announced. */
export interface Missing {
  readonly object: ObjectVersion
  readonly isKnown: boolean
}

/** A tag without a take-over time, and its unknown objects that are older than a day. */
export interface HeldTag {
  /** '' for objects without a tag. */
  readonly tag: string
  readonly objects: number
  readonly oldest: Date
  readonly newest: Date
  /** What a person is to run so that none of them becomes history. */
  readonly command: string
}

export interface Gate {
  /** Divides what the listing found missing; what is in neither part waits. */
  pass(
    missing: readonly Missing[],
    signal: AbortSignal,
  ): Promise<{ readonly usual: readonly ObjectVersion[]; readonly history: readonly ObjectVersion[] }>
  /** What waits, of all that passed so far. */
  held(): readonly HeldTag[]
}

/** This many unknown old objects of a tag are announced like new ones. */
const FEW = 100
const OLD_MS = 86_400_000

/** For one listing of a bucket. @param clockMs the clock of its store minus the database's. */
export function openGate(context: Context<'database' | 's3'>, bucket: string, clockMs: number): Gate {
  const oldest = () => new Date(context.now().getTime() - OLD_MS)
  const waiting = new Map<string, Waiting>()
  const decided = new Map<string, Date | null>()
  /** Objects of the tag from before this time wait; null: there are few of them. */
  const waitBefore = async (tag: string, signal: AbortSignal): Promise<Date | null> => {
    const known = decided.get(tag)
    if (known !== undefined) return known
    const before = (await firstNewRun(context.database, tag)) ?? oldest()
    let unknown = 0
    for await (const page of listTag(context, bucket, tag, signal)) {
      const old = page.filter(({ lastModified }) => {
        const at = latestDate(lastModified, clockMs)
        return isBefore(at, oldest()) && isBefore(at, before)
      })
      unknown += (await unknownOf(context.database, old)).length
      if (unknown > FEW) break
    }
    decided.set(tag, unknown > FEW ? before : null)
    return unknown > FEW ? before : null
  }
  return {
    async pass(missing, signal) {
      const usual: ObjectVersion[] = []
      const history: ObjectVersion[] = []
      if (missing.length === 0) return { usual, history }
      const takeOverOf = await takeOverTimes(context.database)
      const isNew = await alreadyNew(
        context.database,
        missing.map(({ object }) => object),
        takeOverOf,
      )
      for (const { object, isKnown } of missing) {
        const lastModified = latestDate(object.lastModified, clockMs)
        const tag = folderOf(object.key)
        const since = takeOverOf(tag)
        if (isNew.has(object)) usual.push(object)
        else if (since !== null) (isBefore(lastModified, since) ? history : usual).push(object)
        else if (isKnown || lastModified === null || lastModified >= oldest()) usual.push(object)
        else {
          const before = await waitBefore(tag, signal)
          if (before === null || lastModified >= before) usual.push(object)
          else waiting.set(tag, withObject(waiting.get(tag), tag, lastModified))
        }
      }
      return { usual, history }
    },
    held: () => [...waiting.values()].map((tag) => ({ ...tag, command: commandFor(tag) })),
  }
}

/**
 * When the first new run of a tag was catalogued. What was stored later was missed by an outage, and is new. What
 * was stored before may be all the tag ever had: the first live run of a full bucket is catalogued before its
 * first listing.
 */
async function firstNewRun(database: Database, tag: string): Promise<Date | null> {
  const { at } = await database
    .selectFrom('runs')
    .select((of) => of.fn.min('firstFileAt').as('at'))
    .where('tag', '=', tag)
    .where('isHistory', '=', false)
    .executeTakeFirstOrThrow()
  return at
}

type Waiting = Omit<HeldTag, 'command'>

function withObject(held: Waiting | undefined, tag: string, stored: Date): Waiting {
  const { objects, oldest, newest } = held ?? { objects: 0, oldest: stored, newest: stored }
  return {
    tag,
    objects: objects + 1,
    oldest: stored < oldest ? stored : oldest,
    newest: stored > newest ? stored : newest,
  }
}

/** For a shell. No time can be set for what is no tag: that of all other tags counts. */
const commandFor = ({ tag, oldest }: Waiting) =>
  `cygnet adopt --tag '${(isTag(tag) ? tag : OTHER_TAGS).replaceAll("'", "'\\''")}' --since ${oldest.toISOString().slice(0, 19)}Z`

const dayOf = (at: Date) => at.toISOString().slice(0, 10)

/** Longest part of a tag in an alert, characters. */
const LONGEST = 180

/** For people. @param tag '' for objects without a tag. */
export const namedTag = (tag: string): string => (tag === '' ? 'no tag' : tag)

/** What an alert about the objects of a tag is about. Folders that are no tag have alerts too. */
export const ofTag = (tag: string) =>
  isTag(tag) ? { tag } : { tag: null, subject: cutText(namedTag(tag), LONGEST) }

/** Identifies an alert about the objects of a tag. */
export const causeOfTag = (tag: string, occurrence: string): string =>
  `${cutText(tag, LONGEST)}:${occurrence}`

/** Logs the plan at each listing, and alerts once a tag, day of the newest object and calendar month. */
export async function alertHeldTags(
  context: Context<'database' | 'queues'>,
  held: readonly HeldTag[],
  signal: AbortSignal,
): Promise<void> {
  const at = context.now()
  const alerts = held.map(({ tag, objects, oldest, newest, command }) => {
    context.log.error({ tag, objects, oldest, newest, command }, 'tag-not-adopted')
    const summary = `${objects} unknown objects under ${namedTag(tag)}, stored from ${oldest.toISOString()} to ${newest.toISOString()}, wait: the tag has no take-over time. If runs among them were missed, treat all ${objects} as new (copied to tape and reconstructed): ${command}. If they are old data from before Cygnet, give a later time: objects stored before it are history, and only catalogued. A missed run that becomes history is not copied to tape, so in doubt choose the earlier time`
    return alert({
      rule: 'tag-not-adopted',
      severity: 'error',
      ...ofTag(tag),
      summary,
      facts: { objects, oldest: oldest.toISOString(), newest: newest.toISOString() },
      cause: causeOfTag(tag, `${dayOf(newest)}:${dayOf(at).slice(0, 7)}`),
    })
  })
  await addRequests(context.database, alerts, at)
  await sendRequests(context, alerts, signal)
}
