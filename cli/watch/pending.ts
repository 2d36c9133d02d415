/** The files that are not in the store yet, with reasons. */
import { mtimeMs } from './scan.ts'
import type { Clock, Tracked, TrackedFiles } from './tracked-files.ts'
import type { WatchRequest } from './watch-request.ts'

/**
 * `open`: the DAQ may still write to it. `waiting`: closed, and not sent yet. `sending`: in progress. `failed`:
 * tried, and tried again. `refused`: a person has to check it; it is tried again from time to time.
 */
export type PendingState = 'open' | 'waiting' | 'sending' | 'failed' | 'refused'

export interface PendingFile {
  readonly name: string
  readonly state: PendingState
  readonly reason: string
  /** Null when it is not a readable file. */
  readonly sizeBytes: number | null
  /** Time since its last write; never negative. */
  readonly ageSeconds: number | null
}

export interface Pending {
  readonly counts: Readonly<Record<PendingState, number>>
  readonly files: readonly PendingFile[]
  /** Size of all pending files. */
  readonly bytes: number
  /** Age of the oldest pending file; null when none is pending. */
  readonly oldestSeconds: number | null
  /** Files in the store that are still on this disk. */
  readonly kept: {
    readonly count: number
    readonly bytes: number
    readonly reasons: Readonly<Record<string, number>>
  }
  /** Why the catalogue refuses to record files of this machine; null when it does not. */
  readonly refusal: string | null
}

const STATES: readonly PendingState[] = ['sending', 'waiting', 'failed', 'refused', 'open']

export interface PendingOptions extends Pick<WatchRequest, 'once' | 'deletion'> {
  /** Why the store cannot be reached; null when it can. */
  readonly trouble: string | null
}

/**
 * The pending files. With deletions, files that are kept have reasons; in a single pass nothing is tried again.
 */
export function pendingOf(tracked: TrackedFiles, clock: Clock, options: PendingOptions): Pending {
  const all = tracked.all()
  const files = [
    ...all.flatMap((one) => (one.pushed === null ? [pendingFile(one, clock, options)] : [])),
    ...tracked
      .unreadable()
      .map(
        ({ name, reason }) =>
          ({ name, state: 'refused', reason, sizeBytes: null, ageSeconds: null }) as const,
      ),
  ]
  const counts = Object.fromEntries(
    STATES.map((state) => [state, files.filter((file) => file.state === state).length]),
  )
  const ages = files.flatMap(({ ageSeconds }) => (ageSeconds === null ? [] : [ageSeconds]))
  const kept = all.filter(({ pushed }) => pushed !== null)
  const reasons =
    options.deletion !== null
      ? Object.entries(Object.groupBy(kept, (one) => one.kept?.reason ?? 'not checked yet'))
      : []
  return {
    counts: counts as Record<PendingState, number>,
    files,
    bytes: sum(files.map(({ sizeBytes }) => sizeBytes ?? 0)),
    oldestSeconds: ages.length === 0 ? null : ages.reduce((a, b) => Math.max(a, b)),
    kept: {
      count: kept.length,
      bytes: sum(kept.map(({ file }) => file.sizeBytes)),
      reasons: Object.fromEntries(reasons.map(([why, group]) => [why, group?.length ?? 0])),
    },
    refusal: kept.map(({ noting }) => noting?.refusal ?? null).find((refusal) => refusal !== null) ?? null,
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

function pendingFile(tracked: Tracked, clock: Clock, options: PendingOptions): PendingFile {
  const { file } = tracked
  const ageSeconds = Math.max(0, Math.round((clock.wallMs() - mtimeMs(file)) / 1000))
  return { name: file.name, sizeBytes: file.sizeBytes, ageSeconds, ...stateOf(tracked, clock, options) }
}

function stateOf(
  { isSending, setback, verdict }: Tracked,
  clock: Clock,
  { once, trouble }: PendingOptions,
): { readonly state: PendingState; readonly reason: string } {
  if (isSending) return { state: 'sending', reason: 'it is being sent' }
  if (verdict.kind === 'left') return { state: 'refused', reason: verdict.reason }
  if (verdict.kind === 'open') return { state: 'open', reason: verdict.reason }
  if (verdict.kind === 'undecided') return { state: 'open', reason: 'its end is being read' }
  if (setback === null)
    return {
      state: 'waiting',
      reason: trouble === null ? 'it waits for its turn' : `it waits for the store: ${trouble}`,
    }
  if (once) return { state: setback.kind, reason: setback.error }
  const seconds = Math.max(0, Math.round((setback.retryAtMs - clock.steadyMs()) / 1000))
  return {
    state: setback.kind,
    reason: `${setback.error} (tried ${setback.count} times, again in ${seconds} s)`,
  }
}
