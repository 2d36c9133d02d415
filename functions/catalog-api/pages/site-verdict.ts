/**
 * Whether a site takes data, concluded from what arrived and from what the DAQ's logger wrote. It claims no
 * more than that: a DAQ that is silent may be meant to be. Pure.
 */
import type { Run } from '../../../shared/database/schema.ts'
import type { SiteState } from '../../../shared/queries/site-state.ts'
import type { Tone } from './parts.ts'

/**
 * taking: a run is in progress or has just ended. unended: the run in progress lasts much longer than usual, or
 * the DAQ has died. older: runs arrive that were taken long ago. silent: nothing arrives. never: no run has
 * arrived.
 */
export type Activity = 'taking' | 'unended' | 'older' | 'silent' | 'never'

export interface SiteVerdict {
  readonly activity: Activity
  readonly tone: Tone
  /** The run that the DAQ is taking, as its logger wrote it. */
  readonly isRunning: boolean
  /** As from `lateFiles`. */
  readonly late: readonly Date[]
  /** Of the stages before the catalogue, each by its own sign of life: a run that begins is none of the uploader. */
  readonly stages: { readonly daq: Tone; readonly store: Tone }
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

export function siteVerdict(
  { last, latest, arrived, awaited }: Pick<SiteState, 'last' | 'latest' | 'arrived' | 'awaited'>,
  now: Date,
): SiteVerdict {
  const { run } = last
  const since = (at: Date) => now.getTime() - at.getTime()
  const late = lateFiles({ arrived, awaited }, now)
  const verdict = (activity: Activity, tone: Tone, daq: Tone, store: Tone, isRunning = false) => ({
    activity,
    tone: late.length > 0 ? 'waiting' : tone,
    isRunning,
    late,
    stages: { daq, store: late.length > 0 && store !== 'good' ? 'waiting' : store },
  })
  const ended = run.stoppedAt === null ? latest.find(({ stoppedAt }) => stoppedAt !== null) : run
  const silence = silentAfterMs(arrived.usualGapMs, ended === undefined ? 0 : lengthMs(ended))
  const isArriving = arrived.lastAt !== null && since(arrived.lastAt) <= silence
  if (run.firstFileAt === null && run.stoppedAt === null && last.isBegin && since(last.at) < LONGEST_RUN_MS) {
    const isLong = since(last.at) > Math.max(silence, arrived.usualGapMs === null ? SILENT_AT_MOST_MS : 0)
    const tone = isLong ? 'waiting' : 'good'
    // Nothing need have arrived lately: the run before may have ended long ago.
    return verdict(isLong ? 'unended' : 'taking', tone, tone, isArriving ? 'good' : 'old', true)
  }
  const taken = run.stoppedAt ?? last.at
  const daq = since(taken) > DAY_MS ? 'old' : since(taken) > silence ? 'waiting' : 'good'
  if (arrived.lastAt === null) return verdict('never', 'old', daq, 'old')
  if (!isArriving) {
    const tone = since(arrived.lastAt) > DAY_MS ? 'old' : 'waiting'
    return verdict('silent', tone, daq, tone)
  }
  return since(taken) > silence + UPLOAD_MS
    ? verdict('older', 'moving', daq, 'good')
    : verdict('taking', 'good', 'good', 'good')
}

/** When each run ended whose file should have arrived by now, the earliest first. */
export const lateFiles = (
  { arrived, awaited }: Pick<SiteState, 'arrived' | 'awaited'>,
  now: Date,
): readonly Date[] =>
  awaited.filter((ended) => now.getTime() - ended.getTime() > silentAfterMs(arrived.usualGapMs, 0))

/** @param usualGapMs null if it is not known. @param runMs the length of the last run that ended. */
export const silentAfterMs = (usualGapMs: number | null, runMs: number): number =>
  Math.max(
    SILENT_AT_LEAST_MS,
    Math.min(SILENT_GAPS * (usualGapMs ?? 0), SILENT_AT_MOST_MS),
    SILENT_RUNS * Math.min(runMs, LONGEST_RUN_MS),
  )

const lengthMs = ({ startedAt, stoppedAt }: Pick<Run, 'startedAt' | 'stoppedAt'>): number =>
  startedAt === null || stoppedAt === null ? 0 : Math.max(0, stoppedAt.getTime() - startedAt.getTime())
