/** What is not in the store yet, and why. */
import { mtimeMs } from './scan.ts'
import type { Clock, Tracked, TrackedFiles } from './tracked-files.ts'
import type { WatchRequest } from './watch-request.ts'

/**
 * `open`: the DAQ may still write to it. `waiting`: closed, its turn comes. `sending`. `failed`: tried, and
 * tried again. `refused`: somebody has to look at it; it is tried again now and then.
 */
export type PendingState = 'open' | 'waiting' | 'sending' | 'failed' | 'refused'

export interface PendingFile {
  readonly name: string
  readonly state: PendingState
  readonly reason: string
  /** Null for what is no file that can be looked at. */
  readonly sizeBytes: number | null
  /** Since its last write; never negative. */
  readonly ageSeconds: number | null
}

export interface Pending {
  readonly counts: Readonly<Record<PendingState, number>>
  readonly files: readonly PendingFile[]
  /** Of all pending files. */
  readonly bytes: number
  /** Of the oldest pending file; null when none is pending. */
  readonly oldestSeconds: number | null
  /** In the store, and still on this disk. */
  readonly kept: {
    readonly count: number
    readonly bytes: number
    readonly reasons: Readonly<Record<string, number>>
  }
}

const STATES: readonly PendingState[] = ['sending', 'waiting', 'failed', 'refused', 'open']

export interface How extends Pick<WatchRequest, 'once' | 'deletion'> {
  /** What stands between the files and the store; null while nothing does. */
  readonly trouble: string | null
}

/**
 * Where files are deleted when they are safe, those that are kept have reasons; where there is one pass,
 * nothing is tried again.
 */
export function pendingOf(tracked: TrackedFiles, clock: Clock, how: How): Pending {
  const all = tracked.all()
  const files = [
    ...all.flatMap((one) => (one.pushed === null ? [pendingFile(one, clock, how)] : [])),
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
    how.deletion !== null
      ? Object.entries(Object.groupBy(kept, (one) => one.kept?.why ?? 'not looked at yet'))
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
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

function pendingFile(tracked: Tracked, clock: Clock, how: How): PendingFile {
  const { file } = tracked
  const ageSeconds = Math.max(0, Math.round((clock.wallMs() - mtimeMs(file)) / 1000))
  return { name: file.name, sizeBytes: file.sizeBytes, ageSeconds, ...stateOf(tracked, clock, how) }
}

function stateOf(
  { isSending, setback, verdict }: Tracked,
  clock: Clock,
  { once, trouble }: How,
): { readonly state: PendingState; readonly reason: string } {
  if (isSending) return { state: 'sending', reason: 'it is being sent' }
  if (verdict.is === 'left') return { state: 'refused', reason: verdict.why }
  if (verdict.is === 'open') return { state: 'open', reason: verdict.why }
  if (verdict.is === 'undecided') return { state: 'open', reason: 'its end is being looked at' }
  if (setback === null)
    return {
      state: 'waiting',
      reason: trouble === null ? 'it waits for its turn' : `it waits for the store: ${trouble}`,
    }
  if (once) return { state: setback.is, reason: setback.error }
  const seconds = Math.max(0, Math.round((setback.againMs - clock.steadyMs()) / 1000))
  return {
    state: setback.is,
    reason: `${setback.error} (tried ${setback.count} times, again in ${seconds} s)`,
  }
}
