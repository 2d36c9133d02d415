/**
 * The files of the folder as the watch knows them: since when each is unchanged, whether it is closed, and
 * what was tried.
 */
import { type Evidence, judge, type Limits, surroundingsOf, type Verdict } from './closed.ts'
import type { Ending } from './ending.ts'
import type { JournalEntry } from './journal.ts'
import { isSameVersion, mtimeMs, type RunFileFound, type Scan, type Unreadable } from './scan.ts'

export interface Clock {
  /** Of the wall: the dates of files are compared with it. Jumps when it is set. */
  wallMs(): number
  /** Since some moment; never jumps. */
  steadyMs(): number
}

/** Something that is tried again, at `againMs` of the clock that never jumps. */
export interface Again {
  readonly count: number
  readonly againMs: number
}

/** An attempt to send that did not succeed. */
export interface Setback extends Again {
  readonly is: 'failed' | 'refused'
  readonly error: string
}

/** One version of one file. */
export interface Tracked {
  readonly file: RunFileFound
  /** By the clock that never jumps. */
  readonly unchangedSinceMs: number
  /**
   * How old it was then; 0 for what came or changed under our eyes, whatever its date says: clocks are set.
   */
  readonly ageThenMs: number
  verdict: Verdict
  ending: Ending | null
  /** In the store, with what the journal knows of it. */
  pushed: JournalEntry | null
  setback: Setback | null
  isSending: boolean
  /** Why it is still on the disk although it is in the store. */
  kept: (Again & { readonly why: string }) | null
  /** When the catalogue is told again that the file is on this disk. */
  noting: Again | null
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
  /** Which folder was looked at last: see on-disk.ts. */
  folder(): string | null
  /** Takes in what lies in the folder now. What has vanished is forgotten. */
  update(scan: Scan): void
  /** A file that we removed; also from a look at the folder that was begun before. */
  remove(file: RunFileFound): void
  /** Judges every file that is not in the store; returns those that are closed since now. */
  judgeAll(
    limits: Limits,
    findWriters: (files: readonly RunFileFound[]) => ReadonlyMap<RunFileFound, string>,
  ): readonly Closed[]
}

const FIRST_SIGHT: Verdict = { is: 'open', why: 'it was seen only a moment ago' }

/** @param recall what is remembered of this version of a file. */
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
        const wasClosed = tracked.verdict.is === 'closed'
        const verdict = judge(one, surroundings, tracked.ending, limits)
        tracked.verdict = verdict
        return verdict.is === 'closed' && !wasClosed
          ? [{ tracked, evidence: verdict.evidence, warning: verdict.warning }]
          : []
      })
    },
  }
}
