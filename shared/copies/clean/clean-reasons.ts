/**
 * Why the files of runs that are in the store stay there: what the cleaner answers who asks why the disk is
 * filling.
 */

import { sql } from 'kysely'
import { FAILED_OR_WRONG, RECALL_WANTED } from '../../catalogue/replica-states.ts'
import type { Context } from '../../context.ts'
import type { CopyState, Replica } from '../../database/replica-schema.ts'
import type { RunId } from '../../run.ts'
import { YOUNGEST_MS } from '../delete/deletion-rules.ts'
import { protectingPrefix } from '../delete/protected.ts'
import { type CleanPolicy, isTooFull } from './clean-policy.ts'

/** A file counts for the first that holds. */
export const STAY_REASONS = {
  suspicious: 'are suspicious in the store, and are kept for people to look at',
  protected: 'lie below a protected prefix (CYGNET_PROTECTED_PREFIXES)',
  recalled: 'were asked back from tape, and their time is not over',
  'bad-on-tape': 'have a copy on tape that failed, is missing or suspicious',
  'not-on-tape': 'have no verified copy on tape yet',
  young: 'came within the last day: such never go, whatever is configured',
  refused:
    'were refused in the last hours, and are tried again by themselves (`cygnet clean --run N` says why one stays)',
  'not-due': 'are safe on tape, and not due by the policy',
  due: 'are due, and go when their copy on tape is verified at that moment',
} as const

export type StayReason = keyof typeof STAY_REASONS

export interface Staying {
  readonly reason: StayReason
  readonly files: number
  readonly sizeBytes: number
  /** The oldest of them. */
  readonly example: RunId
}

export interface WhyTheyStay {
  /** Files that were looked at: the oldest of the store. */
  readonly looked: number
  /** Whether these are all there are. */
  readonly isAll: boolean
  /** The most frequent first. */
  readonly reasons: readonly Staying[]
}

/**
 * What is deleted are the oldest, so these are what is in the way. However many there are, no more rows are
 * read.
 */
const MOST_LOOKED = 2000
const DAY_MS = 86_400_000

export async function whyTheyStay(
  context: Context<'database'>,
  policy: CleanPolicy,
  { tag, now }: { readonly tag?: string | undefined; readonly now: Date },
): Promise<WhyTheyStay> {
  const found = await oldestInStore(context, 'present', policy, tag ?? null, now)
  const suspicious = await oldestInStore(context, 'suspicious', policy, tag ?? null, now)
  const looked = [...found.slice(0, MOST_LOOKED), ...suspicious.slice(0, MOST_LOOKED)]
  const byReason = Map.groupBy(looked, (file) => reasonOf(file, context, policy, now))
  const reasons = [...byReason].flatMap(([reason, files]): Staying[] => {
    const [first] = files
    if (first === undefined) return []
    const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
    return [
      { reason, files: files.length, sizeBytes, example: { tag: first.tag, runNumber: first.runNumber } },
    ]
  })
  return {
    looked: looked.length,
    isAll: looked.length === found.length + suspicious.length,
    reasons: reasons.toSorted((a, b) => b.files - a.files),
  }
}

type FileInStore = Awaited<ReturnType<typeof oldestInStore>>[number]

/** Along the index by age; the copies of each are a look into another. */
function oldestInStore(
  { database, config }: Context<'database'>,
  state: 'present' | 'suspicious',
  { tapeEndpoint }: CleanPolicy,
  tag: string | null,
  now: Date,
) {
  const tapeState = sql<CopyState | null>`(SELECT copy.state FROM copies AS copy
    WHERE copy.bucket = replicas.bucket AND copy.object_key = replicas.object_key AND copy.sha256 = replicas.sha256
      AND copy.kind = 'tape' AND copy.endpoint = ${tapeEndpoint ?? ''} ORDER BY copy.state = 'on-media' DESC, copy.id DESC LIMIT 1)`
  const isWanted = sql<number>`EXISTS (SELECT 1 FROM shown_recalls AS recall
    WHERE recall.bucket = replicas.bucket AND recall.object_key = replicas.object_key
      AND recall.state IN (${sql.join(RECALL_WANTED)}) AND recall.expires_at > ${now})`
  return database
    .selectFrom('replicas')
    .select(['tag', 'runNumber', 'bucket', 'objectKey', 'state', 'sizeBytes', 'storedAt', 'nextAttemptAt'])
    .select([tapeState.as('tapeState'), isWanted.as('isWanted')])
    .where('kind', '=', 'cloud')
    .where('state', '=', state)
    .where('bucket', 'in', config.store.rawBuckets)
    .$if(tag !== null, (query) => query.where('tag', '=', tag as string))
    .orderBy('storedAt')
    .orderBy('id')
    .limit(MOST_LOOKED + 1)
    .execute()
}

function reasonOf(file: FileInStore, { config }: Context, policy: CleanPolicy, now: Date): StayReason {
  if (file.state === 'suspicious') return 'suspicious'
  const storedMs = (file.storedAt ?? now).getTime()
  const object = { bucket: file.bucket, key: file.objectKey }
  if (protectingPrefix(object, config.store.protectedPrefixes) !== null) return 'protected'
  if (Number(file.isWanted) === 1) return 'recalled'
  if (file.tapeState !== 'on-media')
    return file.tapeState !== null && FAILED_OR_WRONG.includes(file.tapeState) ? 'bad-on-tape' : 'not-on-tape'
  if (storedMs > now.getTime() - YOUNGEST_MS) return 'young'
  if (isLater(file, now)) return 'refused'
  const isOld = policy.afterDays !== null && storedMs <= now.getTime() - policy.afterDays * DAY_MS
  return isOld || isTooFull(policy.room) ? 'due' : 'not-due'
}

const isLater = ({ nextAttemptAt: again }: Pick<Replica, 'nextAttemptAt'>, now: Date) =>
  again !== null && again > now

/**
 * One sentence: `Of its 2000 oldest files 1500 have no verified copy on tape yet (e.g. run 12 of LNGS), 500
 * …`.
 */
export function reasonsText({ looked, isAll, reasons }: WhyTheyStay): string {
  const parts = reasons.map(
    ({ reason, files, example }) =>
      `${files} ${STAY_REASONS[reason]} (e.g. run ${example.runNumber} of ${example.tag})`,
  )
  return `Of its ${looked} ${isAll ? '' : 'oldest '}files ${parts.join('; ')}`
}
