/** The values of a run, aggregated from those of its files. Pure. */
import type { Integrity } from '../database/schema.ts'

/** What aggregation needs to know of a live file of the run. */
export interface FileSummary {
  readonly key: string
  readonly subrun: number | null
  /** Whether its name has the number of the run. */
  readonly wellNamed: boolean
  readonly lastModified: Date
  readonly sizeBytes: number
  readonly md5: string
  readonly integrity: Integrity
  readonly complete: boolean
  readonly problem: string | null
  readonly eventCount: number
  readonly firstEventAt: Date | null
  readonly lastEventAt: Date | null
  readonly startedEpoch: number
  /** Null when the run continues in another subrun, or when unknown. */
  readonly stoppedEpoch: number | null
  readonly parameters: Readonly<Record<string, number | string | null>>
}

export interface RunSummary {
  readonly complete: boolean
  readonly problem: string | null
  readonly integrity: Integrity
  /** How many files count. */
  readonly fileCount: number
  /** The files that count, in the order of their subruns. */
  readonly keys: readonly string[]
  readonly sizeBytes: number
  readonly eventCount: number
  readonly firstEventAt: Date | null
  readonly lastEventAt: Date | null
  readonly startedEpoch: number
  readonly stoppedEpoch: number | null
  /** MD5 of the file if the run is one file, else null: the legacy logbook has room for one only. */
  readonly md5: string | null
  readonly parameters: Readonly<Record<string, number | string | null>>
}

/** Columns that the end-of-run dump fills: they come from the run's last file, the others from its first. */
const END_COLUMNS = ['stop_time', 'number_of_events', 'storage_local_status'] as const

/** The summary of a run without a file. */
const NO_FILES: RunSummary = {
  complete: false,
  problem: null,
  integrity: 'unstated',
  fileCount: 0,
  keys: [],
  sizeBytes: 0,
  eventCount: 0,
  firstEventAt: null,
  lastEventAt: null,
  startedEpoch: 0,
  stoppedEpoch: null,
  md5: null,
  parameters: {},
}

/**
 * Summarizes a run. Files whose names have its number count, and others only if there is none. One file per
 * subrun counts. If several files have the same subrun (the same run as `.gz` and as `.lz4`), a complete file
 * is preferred to an incomplete one, then one that no checksum disputes, then the newest; `problem` names the others.
 *
 * A run of one file is complete if the file is. A run of subruns is complete if it has all subruns from 0 to
 * the last, each is complete, and the end-of-run dump of the last states that the run stopped.
 */
export function aggregateRun(files: readonly FileSummary[]): RunSummary {
  const chosen = filesThatCount(files)
  const first = chosen[0]
  const last = chosen.at(-1)
  if (first === undefined || last === undefined) return NO_FILES
  const missing = missingParts(chosen)
  const extra = files.filter((file) => !chosen.includes(file))
  const withParameters =
    chosen.find((file) => Object.values(file.parameters).some((value) => value !== null)) ?? first
  return {
    complete: chosen.every((file) => file.complete) && missing === null,
    problem: missing ?? problemOf(chosen) ?? (extra.length === 0 ? null : uncounted(extra)),
    integrity: worst(chosen.map((file) => file.integrity)),
    fileCount: chosen.length,
    keys: chosen.map((file) => file.key),
    sizeBytes: sum(chosen.map((file) => file.sizeBytes)),
    eventCount: sum(chosen.map((file) => file.eventCount)),
    firstEventAt: extreme(
      chosen.map((file) => file.firstEventAt),
      Math.min,
    ),
    lastEventAt: extreme(
      chosen.map((file) => file.lastEventAt),
      Math.max,
    ),
    startedEpoch: Math.max(...chosen.map((file) => file.startedEpoch)),
    stoppedEpoch: last.stoppedEpoch,
    md5: chosen.length === 1 ? first.md5 : null,
    parameters: {
      ...withParameters.parameters,
      ...Object.fromEntries(END_COLUMNS.map((column) => [column, last.parameters[column] ?? null])),
    },
  }
}

/** One per subrun, in their order. */
function filesThatCount(files: readonly FileSummary[]): readonly FileSummary[] {
  const wellNamed = files.filter((file) => file.wellNamed)
  const candidates = wellNamed.length > 0 ? wellNamed : files
  return [...Map.groupBy(candidates, (file) => file.subrun ?? -1).values()]
    .flatMap((claims) => claims.toSorted(bestFirst).slice(0, 1))
    .toSorted((a, b) => (a.subrun ?? -1) - (b.subrun ?? -1))
}

/** Of the first file with a problem, which is named if there are several. */
function problemOf(files: readonly FileSummary[]): string | null {
  const file = files.find(({ problem }) => problem !== null)
  if (file === undefined) return null
  return files.length === 1
    ? file.problem
    : `${file.key.slice(file.key.lastIndexOf('/') + 1)}: ${file.problem}`
}

/** States which files do not count; at most ten are named. */
function uncounted(extra: readonly FileSummary[]): string {
  const named = extra.slice(0, 10).map((file) => file.key)
  const more = extra.length > 10 ? ` and ${extra.length - 10} more` : ''
  return `several files have the same part of the run; not counted: ${named.join(', ')}${more}`
}

function bestFirst(a: FileSummary, b: FileSummary): number {
  return (
    Number(b.complete) - Number(a.complete) ||
    Number(a.integrity === 'mismatch') - Number(b.integrity === 'mismatch') ||
    b.lastModified.getTime() - a.lastModified.getTime() ||
    a.key.localeCompare(b.key)
  )
}

/** States which subruns are missing; null if none is. `files` are in order, one per subrun. */
function missingParts(files: readonly FileSummary[]): string | null {
  const subruns = files.flatMap((file) => (file.subrun === null ? [] : [file.subrun]))
  const last = files.at(-1)
  if (subruns.length === 0 || last === undefined) return null
  if (subruns.length < files.length) return 'the run exists both as one file and as subruns'
  const missing = Array.from(
    { length: Math.min((subruns.at(-1) ?? 0) + 1, 10_000) },
    (_, subrun) => subrun,
  ).filter((subrun) => !subruns.includes(subrun))
  if (missing.length > 0)
    return `subruns missing: ${missing.slice(0, 10).join(', ')}${missing.length > 10 ? ` and ${missing.length - 10} more` : ''}`
  if (last.stoppedEpoch === null && last.complete)
    return `subrun ${(last.subrun ?? 0) + 1} is awaited: subrun ${last.subrun} states that the run continued`
  return null
}

function worst(of: readonly Integrity[]): Integrity {
  if (of.includes('mismatch')) return 'mismatch'
  return of.includes('unstated') ? 'unstated' : 'verified'
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

function extreme(dates: readonly (Date | null)[], pick: (...times: number[]) => number): Date | null {
  const times = dates.flatMap((date) => (date === null ? [] : [date.getTime()]))
  return times.length === 0 ? null : new Date(pick(...times))
}
