/**
 * Why the files of runs in the store are kept there: what an operator needs to know when the store fills up.
 */

import { sql } from 'kysely'
import { FAILED_OR_WRONG, RECALL_WANTED } from '../../catalogue/replica-states.ts'
import type { Context } from '../../context.ts'
import type { CopyState, Replica } from '../../database/replica-schema.ts'
import type { RunId } from '../../run.ts'
import { isDue } from '../../work/due.ts'
import { MIN_AGE_MS } from '../delete/deletion-rules.ts'
import { RETRY_AFTER_MS } from '../delete/end-deletion.ts'
import { protectingPrefix } from '../delete/protected.ts'
import { type CleanPolicy, isTooFull } from './clean-policy.ts'

/** A file is counted under the first reason that holds. */
export const KEEP_REASONS = {
  suspicious: 'are suspicious in the store, and are kept for people to inspect',
  protected: 'are below a protected prefix (CYGNET_PROTECTED_PREFIXES)',
  recalled: 'were recalled from tape, and their time is not over',
  'bad-on-tape': 'have a copy on tape that failed, is missing or suspicious',
  'not-on-tape': 'have no verified copy on tape yet',
  young: 'were stored within the last day, and are kept whatever is configured',
  refused:
    'were refused in the last hours, and are tried again automatically (`cygnet clean --run N` states why one is kept)',
  'not-due': 'are safe on tape, and not due by the policy',
  due: 'are due, and are deleted when their copy on tape is verified at that moment',
} as const

export type KeepReason = keyof typeof KEEP_REASONS

export interface KeptGroup {
  readonly reason: KeepReason
  readonly files: number
  readonly sizeBytes: number
  /** The oldest of them. */
  readonly example: RunId
}

export interface KeptFiles {
  /** Number of files counted: the oldest in the store. */
  readonly looked: number
  /** Whether these are all files in the store. */
  readonly isAll: boolean
  /** The most frequent first. */
  readonly reasons: readonly KeptGroup[]
}

/**
 * The oldest files are deleted first, so they show what prevents it. No more rows are read, however large the
 * store is.
 */
const MOST_FILES = 2000
const DAY_MS = 86_400_000

export async function explainKeptFiles(
  context: Context<'database'>,
  policy: CleanPolicy,
  { tag, now }: { readonly tag?: string | undefined; readonly now: Date },
): Promise<KeptFiles> {
  const present = await oldestInStore(context, 'present', policy, tag ?? null, now)
  const suspicious = await oldestInStore(context, 'suspicious', policy, tag ?? null, now)
  const counted = [...present.slice(0, MOST_FILES), ...suspicious.slice(0, MOST_FILES)]
  const byReason = Map.groupBy(counted, (file) => reasonOf(file, context, policy, now))
  const reasons = [...byReason].flatMap(([reason, files]): KeptGroup[] => {
    const [first] = files
    if (first === undefined) return []
    const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
    return [
      { reason, files: files.length, sizeBytes, example: { tag: first.tag, runNumber: first.runNumber } },
    ]
  })
  return {
    looked: counted.length,
    isAll: counted.length === present.length + suspicious.length,
    reasons: reasons.toSorted((a, b) => b.files - a.files),
  }
}

type FileInStore = Awaited<ReturnType<typeof oldestInStore>>[number]

/** Reads along the index by age, with one look-up of the other copies for each row. */
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
    .limit(MOST_FILES + 1)
    .execute()
}

function reasonOf(file: FileInStore, { config }: Context, policy: CleanPolicy, now: Date): KeepReason {
  if (file.state === 'suspicious') return 'suspicious'
  const storedMs = (file.storedAt ?? now).getTime()
  const object = { bucket: file.bucket, key: file.objectKey }
  if (protectingPrefix(object, config.store.protectedPrefixes) !== null) return 'protected'
  if (Number(file.isWanted) === 1) return 'recalled'
  if (file.tapeState !== 'on-media')
    return file.tapeState !== null && FAILED_OR_WRONG.includes(file.tapeState) ? 'bad-on-tape' : 'not-on-tape'
  if (storedMs > now.getTime() - MIN_AGE_MS) return 'young'
  if (isPostponed(file, now)) return 'refused'
  const isOld = policy.afterDays !== null && storedMs <= now.getTime() - policy.afterDays * DAY_MS
  return isOld || isTooFull(policy.room) ? 'due' : 'not-due'
}

const isPostponed = ({ nextAttemptAt: nextAttempt }: Pick<Replica, 'nextAttemptAt'>, now: Date) =>
  nextAttempt !== null && !isDue(nextAttempt, now, RETRY_AFTER_MS)

/**
 * One sentence: `Of its 2000 oldest files 1500 have no verified copy on tape yet (e.g. run 12 of LNGS), 500
 * …`.
 */
export function keptFilesText({ looked, isAll, reasons }: KeptFiles): string {
  const parts = reasons.map(
    ({ reason, files, example }) =>
      `${files} ${KEEP_REASONS[reason]} (e.g. run ${example.runNumber} of ${example.tag})`,
  )
  return `Of its ${looked} ${isAll ? '' : 'oldest '}files ${parts.join('; ')}`
}
