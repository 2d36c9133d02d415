/**
 * Whether a site takes data, concluded from what arrived and from what the DAQ's logger wrote. It claims no
 * more than that: a DAQ that is silent may be meant to be. Pure.
 */
import type { Run } from '../../../shared/database/schema.ts'
import type { SiteState } from '../../../shared/queries/site-state.ts'
import type { Tone } from './parts.ts'

/**
 * taking: a run is in progress or has just ended. older: runs arrive that were taken long ago. silent: nothing
 * arrives. never: no run has arrived.
 */
export type Activity = 'taking' | 'older' | 'silent' | 'never'

export interface SiteVerdict {
  readonly activity: Activity
  readonly tone: Tone
  /** The run that the DAQ is taking, as its logger wrote it. */
  readonly isRunning: boolean
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** A site is silent after three times its usual time between runs, within these limits. */
const SILENT_GAPS = 3
const SILENT_AT_LEAST_MS = 15 * MINUTE_MS
const SILENT_AT_MOST_MS = HOUR_MS
/** Unless its last run was so long that nothing can have arrived since. */
const SILENT_RUNS = 2
/** A begin without an end is a run in progress for this long; later the DAQ has probably died. */
const LONGEST_RUN_MS = 12 * HOUR_MS
/** An upload may take some time: what arrives was taken no longer ago than this, and the silence. */
const UPLOAD_MS = HOUR_MS
/** After a day of silence nobody needs to hurry. */
const DAY_MS = 24 * HOUR_MS

export function siteVerdict({ last, arrived }: Pick<SiteState, 'last' | 'arrived'>, now: Date): SiteVerdict {
  const { run } = last
  const since = (at: Date) => now.getTime() - at.getTime()
  const isRunning =
    run.firstFileAt === null && run.stoppedAt === null && last.isBegin && since(last.at) < LONGEST_RUN_MS
  if (isRunning) return { activity: 'taking', tone: 'good', isRunning }
  if (arrived.lastAt === null) return { activity: 'never', tone: 'old', isRunning }
  const silence = silentAfterMs(arrived.usualGapMs, lengthMs(run))
  if (since(arrived.lastAt) > silence)
    return { activity: 'silent', tone: since(arrived.lastAt) > DAY_MS ? 'old' : 'waiting', isRunning }
  const taken = run.stoppedAt ?? last.at
  return since(taken) > silence + UPLOAD_MS
    ? { activity: 'older', tone: 'moving', isRunning }
    : { activity: 'taking', tone: 'good', isRunning }
}

/** @param usualGapMs null if it is not known. @param runMs the length of the last run. */
export const silentAfterMs = (usualGapMs: number | null, runMs: number): number =>
  Math.max(
    SILENT_AT_LEAST_MS,
    Math.min(SILENT_GAPS * (usualGapMs ?? 0), SILENT_AT_MOST_MS),
    SILENT_RUNS * Math.min(runMs, LONGEST_RUN_MS),
  )

const lengthMs = ({ startedAt, stoppedAt }: Pick<Run, 'startedAt' | 'stoppedAt'>): number =>
  startedAt === null || stoppedAt === null ? 0 : Math.max(0, stoppedAt.getTime() - startedAt.getTime())
