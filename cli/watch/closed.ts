/**
 * Has the DAQ closed this file? Nothing on a disk says so, so it is concluded from what can be seen, and
 * while in doubt the file waits: an object that is half a run would stay in the store for ever.
 */
import type { Ending } from './ending.ts'
import { compareRuns, type RunFileFound } from './scan.ts'

/** What is known of one file of the folder now. */
export interface Observed {
  readonly file: RunFileFound
  /** So long we have watched it without a change, milliseconds by a clock that never jumps. */
  readonly unchangedMs: number
  /**
   * Since its last write: by its date when the watch began, from then on by our watching. Negative for a date
   * in the future.
   */
  readonly ageMs: number
  /** Who has it open for writing. */
  readonly writer: string | null
  readonly isInStore: boolean
}

export interface Limits {
  /** After so long without a change nobody will write to it any more. */
  readonly idleMs: number
  /** So long every file must stay unchanged under our eyes, whatever else speaks for it. */
  readonly settleMs: number
}

/** What showed that a file is closed. */
export type Evidence = 'later-run' | 'end-of-run' | 'whole' | 'idle'

export type Verdict =
  | { readonly is: 'closed'; readonly evidence: Evidence; readonly warning: string | null }
  | { readonly is: 'open'; readonly why: string }
  /** Never to be sent. */
  | { readonly is: 'left'; readonly why: string }
  /** How the file ends would tell; reading that costs something. */
  | { readonly is: 'undecided' }

/** The file among its neighbours. */
export interface Surroundings {
  /** Files of the same run and subrun under other endings. */
  readonly siblings: readonly Observed[]
  /** A later run, or a later file of the same run, was begun after this file was last written. */
  readonly hasLater: boolean
  /** Compressed runs lie here: an uncompressed one will probably be compressed, and sent then. */
  readonly isCompressedHere: boolean
}

export function judge(
  observed: Observed,
  around: Surroundings,
  ending: Ending | null,
  limits: Limits,
): Verdict {
  const { file, unchangedMs, writer } = observed
  if (writer !== null) return open(`${writer} has it open for writing`)
  if (unchangedMs < limits.settleMs) return open('it was there or was written to only a moment ago')
  const isCompressed = file.run.compression !== 'none'
  const other = around.siblings.find((sibling) => (sibling.file.run.compression !== 'none') !== isCompressed)
  if (other !== undefined) {
    if (!isCompressed && other.isInStore)
      return { is: 'left', why: `${other.file.name} beside it is the same run, and in the store` }
    const isAtWork = other.writer !== null || !isIdle(other, limits) || !isIdle(observed, limits)
    if (isAtWork)
      return open(
        isCompressed
          ? `${other.file.name} is still being compressed into it`
          : `it is being compressed into ${other.file.name}`,
      )
    // A compressor removes its input as the last thing it does.
    if (isCompressed)
      return {
        is: 'left',
        why: `${other.file.name} beside it is the run: while that is there, its compression was not finished`,
      }
  }
  if (!isCompressed && around.isCompressedHere && !isIdle(observed, limits))
    return open('it waits to be compressed, as the runs before it were')
  if (around.hasLater) return { is: 'closed', evidence: 'later-run', warning: null }
  if (ending === null) return { is: 'undecided' }
  if (ending.whole) return { is: 'closed', evidence: isCompressed ? 'whole' : 'end-of-run', warning: null }
  if (isIdle(observed, limits)) return { is: 'closed', evidence: 'idle', warning: ending.doubt }
  return open('it may still be written: no later run, no end of run')
}

const open = (why: string): Verdict => ({ is: 'open', why })

/** By our own watching, or by its date where we have not watched for so long. */
const isIdle = ({ unchangedMs, ageMs }: Observed, { idleMs }: Limits) =>
  unchangedMs >= idleMs || ageMs >= idleMs

/**
 * What surrounds each file.
 * @param observed all files of the folder, in the order of runs.
 */
export function surroundingsOf(observed: readonly Observed[]): ReadonlyMap<string, Surroundings> {
  const around = new Map<string, Surroundings>()
  const isCompressedHere = observed.some(({ file }) => file.run.compression !== 'none')
  /** When the youngest of the files after this group was begun. */
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
