/**
 * The state of each file of the folder: since when it is unchanged, whether it is closed, and the attempts to
 * send it.
 */
import { type Evidence, judgeFile, type Limits, surroundingsOf, type Verdict } from './closed.ts'
import type { Ending } from './ending.ts'
import type { JournalEntry } from './journal.ts'
import { isSameVersion, mtimeMs, type RunFileFound, type Scan, type Unreadable } from './scan.ts'

export interface Clock {
  /** The wall clock, for comparison with the dates of files. It jumps when it is set. */
  wallMs(): number
  /** Time since an arbitrary moment; never jumps. */
  steadyMs(): number
}

/** Number of attempts, and the time of the next one on the clock that never jumps. */
export interface Retry {
  readonly count: number
  readonly retryAtMs: number
}

/** A failed attempt to send. */
export interface Setback extends Retry {
  readonly kind: 'failed' | 'refused'
  readonly error: string
}

/** One version of one file. */
export interface Tracked {
  readonly file: RunFileFound
  /** On the clock that never jumps. */
  readonly unchangedSinceMs: number
  /**
   * Its age at that time; 0 for a file that appeared or changed during the watch, whatever its date, which may be
   * wrong.
   */
  readonly ageThenMs: number
  verdict: Verdict
  ending: Ending | null
  /** The journal entry of a file that is in the store. */
  pushed: JournalEntry | null
  setback: Setback | null
  isSending: boolean
  /** Why it is still on the disk although it is in the store. */
  kept: (Retry & { readonly reason: string }) | null
  /** When it is reported again to the catalogue that the file is on this disk, and why it refused the last report. */
  noting: (Retry & { readonly refusal: string | null }) | null
}

export interface Closed {
  readonly tracked: Tracked
  readonly evidence: Evidence
  readonly warning: string | null
}

export interface TrackedFiles {
  /** By run number. */
  all(): readonly Tracked[]
  unreadable(): readonly Unreadable[]
  /** Identity of the folder of the last scan: see on-disk.ts. */
  folder(): string | null
  /** Updates the list with a scan. Files that are missing in it are forgotten. */
  update(scan: Scan): void
  /** Forgets a file that was removed, also when a scan that was already running still lists it. */
  remove(file: RunFileFound): void
  /** Judges every file that is not in the store; returns those that have become closed. */
  judgeAll(
    limits: Limits,
    findWriters: (files: readonly RunFileFound[]) => ReadonlyMap<RunFileFound, string>,
  ): readonly Closed[]
}

const FIRST_SIGHT: Verdict = { kind: 'open', reason: 'it was found only a moment ago' }

/** @param recall returns the journal entry of this version of a file. */
export function trackFiles(recall: (file: RunFileFound) => JournalEntry | null, clock: Clock): TrackedFiles {
  let byName = new Map<string, Tracked>()
  let unreadable: readonly Unreadable[] = []
  let folder: string | null = null
  let removed: readonly RunFileFound[] = []
  let isFirst = true
  const newcomer = (file: RunFileFound): Tracked => ({
    file,
    unchangedSinceMs: clock.steadyMs(),
    ageThenMs: isFirst ? clock.wallMs() - mtimeMs(file) : 0,
    verdict: FIRST_SIGHT,
    ending: null,
    pushed: recall(file),
    setback: null,
    isSending: false,
    kept: null,
    noting: null,
  })
  return {
    all: () => [...byName.values()],
    unreadable: () => unreadable,
    folder: () => folder,
    remove(file) {
      byName.delete(file.name)
      removed = [...removed, file]
    },
    update(scan) {
      const kept = (file: RunFileFound) => {
        const known = byName.get(file.name)
        return known !== undefined && isSameVersion(known.file, file) ? known : newcomer(file)
      }
      const isRemoved = (file: RunFileFound) =>
        removed.some((one) => one.name === file.name && isSameVersion(one, file))
      byName = new Map(scan.files.filter((file) => !isRemoved(file)).map((file) => [file.name, kept(file)]))
      removed = []
      folder = scan.folder
      unreadable = scan.unreadable
      isFirst = false
    },
    judgeAll(limits, findWriters) {
      const toJudge = [...byName.values()].filter(({ pushed, isSending }) => pushed === null && !isSending)
      const writers = findWriters(toJudge.map(({ file }) => file))
      const observed = [...byName.values()].map(({ file, unchangedSinceMs, ageThenMs, pushed }) => {
        const unchangedMs = clock.steadyMs() - unchangedSinceMs
        return {
          file,
          unchangedMs,
          ageMs: ageThenMs + unchangedMs,
          writer: writers.get(file) ?? null,
          isInStore: pushed !== null,
        }
      })
      const byFile = new Map(observed.map((one) => [one.file, one]))
      const around = surroundingsOf(observed)
      return toJudge.flatMap((tracked) => {
        const [one, surroundings] = [byFile.get(tracked.file), around.get(tracked.file.name)]
        if (one === undefined || surroundings === undefined) return []
        const wasClosed = tracked.verdict.kind === 'closed'
        const verdict = judgeFile(one, surroundings, tracked.ending, limits)
        tracked.verdict = verdict
        return verdict.kind === 'closed' && !wasClosed
          ? [{ tracked, evidence: verdict.evidence, warning: verdict.warning }]
          : []
      })
    },
  }
}
