/**
 * The verdict on a run: what it is and whether it is safe, each with its reason, from its state, its open
 * problems and its copies. It claims nothing about the quality of the data. Pure.
 */
import { openProblems, PROBLEMS, type ProblemKind } from '../../../shared/catalogue/open-problems.ts'
import type { ShownCopy } from '../../../shared/database/replica-schema.ts'
import type { RunDetails } from '../../../shared/queries/runs.ts'
import { isFailingCopy } from '../../../shared/queries/site-state.ts'
import { isVerifiedNow, type Period } from '../../../shared/queries/verified-now.ts'
import { count } from './format.ts'
import type { Tone } from './parts.ts'

export interface Finding {
  readonly tone: Tone
  readonly what: string
  /** Null where `what` needs no reason. */
  readonly reason: string | null
  /** Since when the copy on tape is known to be good; null where that is not the point. */
  readonly verifiedAt: Date | null
  /** The next attempt that is made without a person; null if there is none. */
  readonly nextAttemptAt: Date | null
}

type Judged = Pick<RunDetails, 'run' | 'files' | 'refused' | 'replicas' | 'storage'>

const finding = (
  tone: Tone,
  what: string,
  reason: string | null = null,
  nextAttemptAt: Date | null = null,
): Finding => ({ tone, what, reason, nextAttemptAt, verifiedAt: null })

/** The most severe first. */
export function runVerdict(details: Judged, period: Period): readonly Finding[] {
  const { run } = details
  const problems = openProblems(run).map((kind) => ofProblem(kind, details))
  if (run.firstFileAt === null) return [...problems, finding('waiting', 'no file yet', run.problem)]
  const failing = details.replicas.find(isFailingCopy)
  const found = [
    ...problems,
    ...(failing === undefined
      ? []
      : [
          finding(
            'bad',
            failing.kind === 'recall' ? 'recall is failing' : 'copy to tape is failing',
            `${failing.lastError} (attempt ${failing.attempts})`,
            failing.nextAttemptAt,
          ),
        ]),
  ]
  return found.length > 0 ? found : [ofCopies(details, period)]
}

/** A complete run without problems: what is known of its copies. */
function ofCopies({ run, storage, replicas }: Judged, period: Period): Finding {
  if (storage.tape === 'on-media') {
    const tapes = replicas.filter(({ kind, state }) => kind === 'tape' && state === 'on-media')
    const isNow = tapes.every((copy) => isVerifiedNow(copy, period))
    const isInStore = storage.cloud === 'present'
    const what = isInStore ? 'complete and on tape' : 'complete, only on tape'
    const reason = isNow
      ? isInStore
        ? null
        : 'a recall brings it into the store'
      : `not verified in the last ${period.scrubDays} days`
    const times = tapes.flatMap(({ verifiedAt: at }) => (at === null ? [] : [at.getTime()]))
    const verifiedAt = times.length === 0 ? null : new Date(Math.min(...times))
    return { ...finding(isNow ? 'good' : 'old', what, reason), verifiedAt }
  }
  if (run.isHistory)
    return finding('old', 'complete', 'history: not copied to tape until the history of its tag is adopted')
  if (storage.tape === 'under-way') return finding('moving', 'complete, copy to tape in progress')
  return finding('waiting', 'complete, no copy on tape')
}

function ofProblem(kind: ProblemKind, details: Judged): Finding {
  const copy = details.replicas.find((replica) => isCopyOf(kind, replica))
  return finding('bad', PROBLEMS[kind], reasonOf(kind, details), copy?.nextAttemptAt ?? null)
}

const COPY_STATES: Readonly<Partial<Record<ProblemKind, ShownCopy['state']>>> = {
  'suspicious-copy': 'suspicious',
  'missing-copy': 'missing',
  'tape-failed': 'failed',
}

const isCopyOf = (kind: ProblemKind, { kind: place, state }: ShownCopy): boolean =>
  place !== 'local' && place !== 'recall' && state === COPY_STATES[kind]

/** The file, copy or sentence that a problem is about; null if the kind states it all. */
function reasonOf(kind: ProblemKind, { run, files, refused, replicas }: Judged): string | null {
  const counting = files.filter((file) => file.isLive && file.counts)
  switch (kind) {
    case 'lost':
      return run.problem
    case 'incomplete': {
      const offset = counting.find(({ problem }) => problem !== null)?.problemOffset ?? null
      return offset === null ? run.problem : `${run.problem} (at byte ${count(offset)})`
    }
    case 'disputed': {
      const disputed = counting.find(({ integrity }) => integrity === 'mismatch')
      const stated = disputed?.digestsCompared.find(({ agrees }) => !agrees)
      return stated === undefined
        ? null
        : `the ${stated.algorithm} stated by the ${stated.by} is not that of ${disputed?.objectKey}`
    }
    case 'suspicious-copy':
    case 'missing-copy':
    case 'tape-failed': {
      const copy = replicas.find((replica) => isCopyOf(kind, replica))
      if (copy === undefined) return null
      const error = copy.lastError === null ? '' : `: ${copy.lastError}`
      return kind === 'tape-failed'
        ? `${copy.lastError ?? 'no reason known'} (attempt ${copy.attempts})`
        : `${copy.url}${error}`
    }
    case 'invalid-file':
      return refused[0] === undefined
        ? null
        : `${refused[0].objectKey}: ${refused[0].reason ?? 'no reason known'}`
    case 'extra-file':
      return files.find((file) => file.isLive && !file.counts)?.objectKey ?? null
    case 'misnamed':
      return counting[0]?.objectKey ?? null
    case 'no-camera':
      return 'there are triggers, and no camera frame'
  }
}
