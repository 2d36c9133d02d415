/**
 * Which runs are deleted from the store: those whose recall has expired, those older than the policy allows,
 * and, while the store is too full, the oldest. Here the runs are only chosen; whether a copy may be deleted
 * is decided by deleteCloudCopy.
 */

import { WRONG } from '../../catalogue/replica-states.ts'
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { classify, InvalidInputError } from '../../errors.ts'
import { type Logger, withoutSecrets } from '../../log.ts'
import { findRuns } from '../../queries/runs.ts'
import { type DeletionOptions, deleteCloudCopy, settleDeletion } from '../delete/delete-cloud-copy.ts'
import { type CloudDeletion, MIN_AGE_MS, permittedVersion } from '../delete/deletion-rules.ts'
import { endUnreportedPermissions } from '../delete/permit-deletion.ts'
import { refuseProtected } from '../delete/protected.ts'
import { endStrandedTombstones } from '../delete/tombstones.ts'
import { reportCleaner } from './clean-alerts.ts'
import {
  abandonedDeletions,
  cloudCopiesOfRun,
  deletionCandidates,
  recalledCandidates,
} from './clean-candidates.ts'
import { type CleanPolicy, cleanPolicy, isTooFull } from './clean-policy.ts'
import { explainKeptFiles } from './clean-reasons.ts'
import type { CleanedFile, CleanedRuns } from './clean-result.ts'

export interface CleanRunsOptions {
  /** Nothing is deleted or written; `deleted` lists what would be tried. */
  readonly dryRun: boolean
  readonly tag?: string | undefined
  /** Only this run, whatever its age and however full the store is; all other rules hold. */
  readonly run?: number | undefined
  readonly now: Date
}

const DAY_MS = 86_400_000
/** After so many failures in a row the cause is not the file: the rest waits for the next run. */
const MOST_FAILURES = 3
/** A store full of files that may not be deleted must not occupy the cleaner for ever. */
const MOST_REFUSALS = 200

/**
 * Deletes what is due, at most CYGNET_CLEAN_MOST_RUNS files. With neither an age
 * (CYGNET_CLEAN_RUNS_AFTER_DAYS, counted from when the object was stored) nor a capacity
 * (CYGNET_CLOUD_CAPACITY_BYTES) configured, only runs whose recall has expired are due.
 * @throws InvalidInputError when a run is named that is unknown, or known under several tags. Errors of
 * single files are in `failed`.
 */
export async function cleanRuns(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  options: CleanRunsOptions,
  signal: AbortSignal,
  log: Logger,
): Promise<CleanedRuns> {
  const tally = createTally(context, options, signal, log)
  if (options.run !== undefined) return await cleanNamedRun(context, options, options.run, tally)
  if (!options.dryRun) await settleAbandoned(context, tally, signal, log)
  const policy = await cleanPolicy(context)
  const result = await deleteDue(context, options, policy, tally)
  if (!options.dryRun && !signal.aborted) {
    const { room } = policy
    const full =
      result.storeIsFull && room !== null
        ? { room, kept: await explainKeptFiles(context, policy, options) }
        : null
    // Other tags may be the cause, or may have more that is due.
    if (options.tag === undefined || full !== null || result.capReached)
      await reportCleaner(context, options.now, result, full, !isTooFull(room), signal)
  }
  return result
}

type Tally = ReturnType<typeof createTally>

/** Tries one file after another and counts the outcomes. */
function createTally(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  { dryRun }: CleanRunsOptions,
  signal: AbortSignal,
  log: Logger,
) {
  const deleted: CleanedFile[] = []
  const refused: CleanedFile[] = []
  const failed: CleanedFile[] = []
  let failuresInARow = 0
  const note = (replica: Replica, reason: string, list: CleanedFile[], event: string) => {
    const { tag, runNumber, objectKey: key, sizeBytes } = replica
    list.push({ tag, runNumber, key, sizeBytes, reason })
    log[list === failed ? 'error' : 'info']({ run: runNumber, tag, key, sizeBytes, reason, dryRun }, event)
  }
  return {
    deletedCount: () => deleted.length,
    deletedBytes: () => sumOf(deleted),
    mayContinue: () => !signal.aborted && failuresInARow < MOST_FAILURES && refused.length < MOST_REFUSALS,
    refuse: (replica: Replica, reason: string) => note(replica, reason, refused, 'run-kept'),
    async tryToDelete(replica: Replica, reason: string, deletion: DeletionOptions = {}) {
      await this.count(replica, reason, () =>
        dryRun ? wouldDelete(context, replica) : deleteCloudCopy(context, replica, reason, signal, deletion),
      )
    },
    async count(replica: Replica, reason: string, work: () => Promise<CloudDeletion | null>) {
      try {
        const outcome = await work()
        failuresInARow = 0
        if (outcome?.kind === 'refused') note(replica, outcome.reason, refused, 'run-kept')
        else note(replica, reason, deleted, dryRun ? 'run-would-be-deleted' : 'run-deleted')
      } catch (error) {
        if (signal.aborted) return
        const failure = classify(error)
        const message = withoutSecrets(failure.message)
        if (failure instanceof InvalidInputError) {
          note(replica, message, refused, 'run-kept')
          return
        }
        failuresInARow += 1
        note(replica, message, failed, 'run-deletion-failed')
      }
    },
    result: (capReached: boolean, storeIsFull: boolean): CleanedRuns => ({
      deleted,
      refused,
      failed,
      deletedBytes: sumOf(deleted),
      capReached,
      storeIsFull,
    }),
  }
}

const sumOf = (files: readonly CleanedFile[]) => files.reduce((sum, file) => sum + file.sizeBytes, 0)

/** For a dry run: the refusal by the rules of the catalogue, or null. The copy on tape is not verified. */
async function wouldDelete(
  { database, config, now }: Context<'database'>,
  replica: Replica,
): Promise<CloudDeletion | null> {
  refuseProtected({ bucket: replica.bucket, key: replica.objectKey }, config.store.protectedPrefixes)
  const permitted = await permittedVersion(database, replica, now())
  return 'kind' in permitted ? permitted : null
}

async function settleAbandoned(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  tally: Tally,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const ended = await endStrandedTombstones(context.database, context.now())
  if (ended > 0) log.warn({ ended }, 'stranded-tombstones-ended')
  const unreported = await endUnreportedPermissions(context)
  if (unreported > 0) log.warn({ unreported }, 'unreported-permissions-ended')
  for (const replica of await abandonedDeletions(context.database))
    if (tally.mayContinue())
      await tally.count(replica, 'deleted by a function that died before it recorded it', () =>
        settleDeletion(context, replica, signal),
      )
}

async function cleanNamedRun(
  context: Context<'database'>,
  options: CleanRunsOptions,
  run: number,
  tally: Tally,
): Promise<CleanedRuns> {
  for (const replica of await copiesOfNamedRun(context, options, run)) {
    if (tally.deletedCount() >= context.config.clean.mostRuns) return tally.result(true, false)
    if (WRONG.includes(replica.state)) tally.refuse(replica, wrongStateText(replica))
    else if (tally.mayContinue())
      await tally.tryToDelete(replica, `run ${run} was named by an operator`, { minAgeMs: 0 })
  }
  return tally.result(false, false)
}

/** A missing or suspicious object is left to people: it is the only trace of what happened. */
function wrongStateText({ state, lastError: error }: Replica): string {
  const more = 'docs/runbook.md, "a copy is missing or suspicious"'
  if (state === 'missing') return `it is missing in the store, and Cygnet did not delete it: ${more}`
  return `its object in the store is suspicious (${error ?? 'no reason known'}) and is kept for people to inspect: ${more}`
}

async function copiesOfNamedRun(
  { database }: Context<'database'>,
  { tag }: CleanRunsOptions,
  runNumber: number,
): Promise<readonly Replica[]> {
  const tags = [...new Set((await findRuns(database, { runNumber, tag })).map((run) => run.tag))]
  const [found, ...others] = tags
  const named = `run ${runNumber}${tag === undefined ? '' : ` of ${tag}`}`
  if (found === undefined) throw new InvalidInputError(`${named} is not in the catalogue`)
  if (others.length > 0)
    throw new InvalidInputError(`${named} is in the catalogue for ${tags.join(', ')}: select one with --tag`)
  return await cloudCopiesOfRun(database, { tag: found, runNumber })
}

async function deleteDue(
  context: Context<'database' | 'tape'>,
  options: CleanRunsOptions,
  { afterDays, room, mostFiles }: CleanPolicy,
  tally: Tally,
): Promise<CleanedRuns> {
  const { config, database, tape } = context
  const { now } = options
  const dueBefore = afterDays === null ? null : new Date(now.getTime() - afterDays * DAY_MS)
  const pressure = isTooFull(room) ? room : null
  const deletedBefore = tally.deletedBytes()
  const isOver = (bytes: number) =>
    pressure !== null && pressure.usedBytes + deletedBefore - tally.deletedBytes() > bytes
  const filter = {
    tag: options.tag ?? null,
    tapeEndpoint: tape?.endpoint ?? '',
    rawBuckets: config.store.rawBuckets,
    protectedPrefixes: config.store.protectedPrefixes,
    until: new Date(now.getTime() - MIN_AGE_MS),
    now,
  }
  const hasPolicy = dueBefore !== null || pressure !== null
  // Runs with an expired recall come first, whatever their age and whether or not there is a policy.
  const passes: readonly Pass[] = [
    { candidates: recalledCandidates, reasonFor: () => 'brought back from tape, and the recall has expired' },
    ...(hasPolicy ? [{ candidates: deletionCandidates, reasonFor }] : []),
  ]
  for (const { candidates, reasonFor: reasonIn } of tape === null ? [] : passes)
    for await (const replica of candidates(database, filter)) {
      const reason = reasonIn(replica)
      if (reason === null || !tally.mayContinue()) break
      if (tally.deletedCount() >= mostFiles) return tally.result(true, false)
      await tally.tryToDelete(replica, reason)
    }
  return tally.result(false, options.tag === undefined && pressure !== null && isOver(pressure.highBytes))

  /** The oldest come first: when one is not due, none after it is. */
  function reasonFor({ storedAt }: Replica): string | null {
    if (dueBefore !== null && storedAt !== null && storedAt <= dueBefore)
      return `in the store for more than ${afterDays} days`
    return pressure !== null && isOver(pressure.lowBytes) ? 'the oldest, and the store is too full' : null
  }
}

interface Pass {
  readonly candidates: typeof deletionCandidates
  /** Why it may be deleted; null when neither it nor any later candidate may. */
  readonly reasonFor: (replica: Replica) => string | null
}
