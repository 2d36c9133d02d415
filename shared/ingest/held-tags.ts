/**
 * The first listing of a full bucket: what is older than the take-over time of its tag is history, and the
 * many old objects of a tag that has no such time wait until a person has set one (ADR 19).
 */
import { alertRequest } from '../catalogue/next-steps.ts'
import { alreadyNew, isBefore, OTHER_TAGS, takeOverTimes } from '../catalogue/take-over.ts'
import type { Context } from '../context.ts'
import { folderOf, isTag, type ObjectVersion } from '../run.ts'
import { addRequests } from '../work/outbox.ts'
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
  /** What a person is to run. */
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

/** For one listing of a bucket. */
export function openGate(context: Context<'database' | 's3'>, bucket: string): Gate {
  const oldest = () => new Date(context.now().getTime() - OLD_MS)
  const waiting = new Map<string, HeldTag>()
  const decided = new Map<string, boolean>()
  const hasMany = async (tag: string, signal: AbortSignal) => {
    const known = decided.get(tag)
    if (known !== undefined) return known
    let unknown = 0
    for await (const page of listTag(context, bucket, tag, signal)) {
      const old = page.filter(({ lastModified }) => isBefore(lastModified, oldest()))
      unknown += (await unknownOf(context.database, old)).length
      if (unknown > FEW) break
    }
    decided.set(tag, unknown > FEW)
    return unknown > FEW
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
      )
      for (const { object, isKnown } of missing) {
        const { lastModified } = object
        const tag = folderOf(object.key)
        const since = takeOverOf(tag)
        if (isNew.has(object)) usual.push(object)
        else if (since !== null) (isBefore(lastModified, since) ? history : usual).push(object)
        else if (lastModified === null || lastModified >= oldest()) usual.push(object)
        else if (isKnown || !(await hasMany(tag, signal))) usual.push(object)
        else waiting.set(tag, withObject(waiting.get(tag), tag, lastModified))
      }
      return { usual, history }
    },
    held: () => [...waiting.values()],
  }
}

function withObject(held: HeldTag | undefined, tag: string, stored: Date): HeldTag {
  if (held === undefined) return { tag, objects: 1, oldest: stored, newest: stored, command: commandFor(tag) }
  const { objects, oldest, newest } = held
  return {
    ...held,
    objects: objects + 1,
    oldest: stored < oldest ? stored : oldest,
    newest: stored > newest ? stored : newest,
  }
}

/** For a shell. No time can be set for what is no tag: that of all other tags counts. */
const commandFor = (tag: string) =>
  `cygnet adopt --tag '${(isTag(tag) ? tag : OTHER_TAGS).replaceAll("'", "'\\''")}' --since TIME`

const LONGEST = 180

/** Logs the plan at each listing, and alerts once a tag. */
export async function alertHeldTags(
  context: Context<'database' | 'queues'>,
  held: readonly HeldTag[],
  signal: AbortSignal,
): Promise<void> {
  const at = context.now()
  const alerts = held.map(({ tag, objects, oldest, newest, command }) => {
    context.log.error({ tag, objects, oldest, newest, command }, 'tag-not-adopted')
    return alertRequest({
      rule: 'tag-not-adopted',
      severity: 'error',
      summary: `${objects} unknown objects under ${tag === '' ? 'no tag' : tag}, stored from ${oldest.toISOString()} to ${newest.toISOString()}, wait: the tag has no take-over time. Runs from that time on are catalogued as new, older ones as history. Set it with: ${command}`,
      tag: isTag(tag) ? tag : null,
      runNumber: null,
      runId: null,
      object: null,
      occurrence: tag.slice(0, LONGEST),
    })
  })
  await addRequests(context.database, alerts, at)
  await sendRequests(context, alerts, signal)
}
