/**
 * The files that are kept on the DAQ's disk whatever their copies: those of the newest runs, and young files.
 */
import { compareRuns, mtimeMs, type RunFileFound } from './scan.ts'

export interface KeepPolicy {
  readonly newestRuns: number
  readonly hours: number
}

/**
 * The reason for each file that has to be kept. The newest runs are those with the highest numbers and those
 * written last: after a restart of the numbers these differ, and both are kept.
 */
export function filesToKeep(
  files: readonly RunFileFound[],
  policy: KeepPolicy,
  nowMs: number,
): ReadonlyMap<string, string> {
  const newest = new Set([
    ...newestRuns(files, policy.newestRuns, (a, b) => compareRuns(b.run, a.run)),
    ...newestRuns(files, policy.newestRuns, (a, b) => (a.mtimeNs < b.mtimeNs ? 1 : -1)),
  ])
  const kept = new Map<string, string>()
  for (const file of files) {
    if (newest.has(file.run.runNumber))
      kept.set(file.name, `it is among the newest runs (${policy.newestRuns})`)
    else if (nowMs - mtimeMs(file) < policy.hours * 3_600_000)
      kept.set(file.name, `it is younger than ${policy.hours} h`)
  }
  return kept
}

function newestRuns(
  files: readonly RunFileFound[],
  count: number,
  newestFirst: (a: RunFileFound, b: RunFileFound) => number,
): readonly number[] {
  return [...new Set(files.toSorted(newestFirst).map(({ run }) => run.runNumber))].slice(0, count)
}
