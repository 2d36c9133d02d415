/**
 * Has the DAQ closed this file? The disk does not record it, so it is concluded from other evidence. In doubt
 * the file waits: an object with half a run would remain in the store permanently.
 */
import type { Ending } from './ending.ts'
import { compareRuns, type RunFileFound } from './scan.ts'

/** The present observations of one file of the folder. */
export interface Observed {
  readonly file: RunFileFound
  /** How long the file was observed without a change, milliseconds of a clock that never jumps. */
  readonly unchangedMs: number
  /**
   * Time since its last write: from its date at the start of the watch, plus the observed time. Negative for a
   * date in the future.
   */
  readonly ageMs: number
  /** The process that has it open for writing, in words. */
  readonly writer: string | null
  readonly isInStore: boolean
}

export interface Limits {
  /** After so long without a change the file counts as closed. */
  readonly idleMs: number
  /** Every file has to be observed unchanged for so long, whatever the other evidence. */
  readonly settleMs: number
}

/** The evidence that a file is closed. */
export type Evidence = 'later-run' | 'end-of-run' | 'whole' | 'idle'

export type Verdict =
  | { readonly kind: 'closed'; readonly evidence: Evidence; readonly warning: string | null }
  | { readonly kind: 'open'; readonly reason: string }
  /** Never sent. */
  | { readonly kind: 'left'; readonly reason: string }
  /** The end of the file decides; reading it takes time. */
  | { readonly kind: 'undecided' }

/** The other files around a file. */
export interface Surroundings {
  /** Files of the same run and subrun with other extensions. */
  readonly siblings: readonly Observed[]
  /** A later run, or a later file of the same run, was begun after this file was last written. */
  readonly hasLater: boolean
  /** The folder has compressed runs: an uncompressed one will probably be compressed, and sent afterwards. */
  readonly isCompressedHere: boolean
}

export function judgeFile(
  observed: Observed,
  around: Surroundings,
  ending: Ending | null,
  limits: Limits,
): Verdict {
  const { file, unchangedMs, writer } = observed
  if (writer !== null) return open(`${writer} has it open for writing`)
  if (unchangedMs < limits.settleMs) return open('it appeared or was written only a moment ago')
  const isCompressed = file.run.compression !== 'none'
  const other = around.siblings.find((sibling) => (sibling.file.run.compression !== 'none') !== isCompressed)
  if (other !== undefined) {
    if (!isCompressed && other.isInStore)
      return { kind: 'left', reason: `${other.file.name} is the same run, and is in the store` }
    const isCompressing = other.writer !== null || !isIdle(other, limits) || !isIdle(observed, limits)
    if (isCompressing)
      return open(
        isCompressed
          ? `${other.file.name} is still being compressed into it`
          : `it is being compressed into ${other.file.name}`,
      )
    // A compressor removes its input as its last step.
    if (isCompressed)
      return {
        kind: 'left',
        reason: `${other.file.name} is the run, and its compression was not finished`,
      }
  }
  if (!isCompressed && around.isCompressedHere && !isIdle(observed, limits))
    return open('it waits for its compression: the folder has compressed runs')
  if (around.hasLater) return { kind: 'closed', evidence: 'later-run', warning: null }
  if (ending === null) return { kind: 'undecided' }
  if (ending.whole) return { kind: 'closed', evidence: isCompressed ? 'whole' : 'end-of-run', warning: null }
  if (isIdle(observed, limits)) return { kind: 'closed', evidence: 'idle', warning: ending.doubt }
  return open('it may still be written: no later run, no end of run')
}

const open = (reason: string): Verdict => ({ kind: 'open', reason })

/** By the observed time, or by its date where it was not observed for so long. */
const isIdle = ({ unchangedMs, ageMs }: Observed, { idleMs }: Limits) =>
  unchangedMs >= idleMs || ageMs >= idleMs

/**
 * The other files around each file.
 * @param observed all files of the folder, in the order of runs.
 */
export function surroundingsOf(observed: readonly Observed[]): ReadonlyMap<string, Surroundings> {
  const around = new Map<string, Surroundings>()
  const isCompressedHere = observed.some(({ file }) => file.run.compression !== 'none')
  /** The latest time at which a file after this group was begun. */
  let latestBegun: bigint | null = null
  for (let end = observed.length; end > 0; ) {
    let start = end - 1
    while (start > 0 && isSamePart(observed[start - 1], observed[end - 1])) start -= 1
    const group = observed.slice(start, end)
    for (const one of group)
      around.set(one.file.name, {
        siblings: group.filter((other) => other !== one),
        hasLater: latestBegun !== null && latestBegun >= one.file.mtimeNs,
        isCompressedHere,
      })
    for (const { file } of group)
      if (latestBegun === null || file.begunNs > latestBegun) latestBegun = file.begunNs
    end = start
  }
  return around
}

const isSamePart = (a: Observed | undefined, b: Observed | undefined) =>
  a !== undefined && b !== undefined && compareRuns(a.file.run, b.file.run) === 0
