/**
 * What this machine remembers of the files of a folder: which version of which file is in the store, with its
 * checksums, so that a restart does not read a disk of runs again. One JSON object a line, appended; the last
 * one about a name counts. It is a hint: the store and the catalogue are the truth, and nothing is deleted
 * because of it. A kill or a full disk costs at most the last lines, that is, reading their files once more.
 */
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import * as z from 'zod'
import type { FileVersion } from './scan.ts'

const schema = z.object({
  name: z.string(),
  /** `deleted`: removed from the disk by us. `gone`: by somebody else, which the catalogue was told. */
  state: z.enum(['pushed', 'deleted', 'gone']),
  /** Which folder it was in: see on-disk.ts. */
  folder: z.string().nullable().default(null),
  ino: z.string(),
  sizeBytes: z.int(),
  mtimeNs: z.string(),
  bucket: z.string(),
  key: z.string(),
  md5: z.string(),
  sha256: z.string(),
  adler32: z.string(),
  /** When it was read for the checksums. */
  at: z.iso.datetime(),
  /** The catalogue was told that it is on this disk. */
  isNoted: z.boolean(),
})
export type JournalEntry = Readonly<z.infer<typeof schema>>

export interface Journal {
  /** That this version of the file is in the store; null when it is not known, or of another version. */
  find(name: string, version: FileVersion): JournalEntry | null
  /** The last word about a name, whatever has it now. */
  last(name: string): JournalEntry | null
  /** Files of which the catalogue was told that they are on this disk, and not that they went. */
  noted(): readonly JournalEntry[]
  /** Never throws; false when it could not be written and is remembered in memory alone. */
  write(entry: JournalEntry): boolean
}

/**
 * Files that are gone are remembered for so long: their disk may only be unmounted. Those that the catalogue
 * counts, until it knows.
 */
const FORGET_AFTER_MS = 90 * 86_400_000
/** Lines that no longer count, as a share, above which the journal is written anew. */
const MOST_DEAD_LINES = 0.5

/**
 * Reads the journal; damaged lines do not count.
 * @param present names that lie in the folder now.
 */
export function openJournal(path: string, present: ReadonlySet<string>, nowMs: number): Journal {
  const { entries, lines } = read(path)
  for (const [name, { state, at, isNoted }] of entries)
    if (!present.has(name) && (state !== 'pushed' || (!isNoted && nowMs - Date.parse(at) > FORGET_AFTER_MS)))
      entries.delete(name)
  if (lines - entries.size > MOST_DEAD_LINES * lines) rewrite(path, entries)
  // A line that was cut by a kill must not swallow the next one.
  let isCut = true
  return {
    find(name, version) {
      const entry = entries.get(name)
      if (entry === undefined || !isAbout(entry, version)) return null
      // Back again: the catalogue has to be told anew.
      return entry.state === 'pushed' ? entry : { ...entry, state: 'pushed', isNoted: false }
    },
    last: (name) => entries.get(name) ?? null,
    noted: () => [...entries.values()].filter(({ state, isNoted }) => state === 'pushed' && isNoted),
    write(entry) {
      entries.set(entry.name, entry)
      try {
        appendFileSync(path, `${isCut ? '\n' : ''}${JSON.stringify(entry)}\n`, { mode: 0o600, flush: true })
        isCut = false
        return true
      } catch {
        isCut = true
        return false
      }
    },
  }
}

/** Not the device: its number changes when the machine starts anew. */
const isAbout = (entry: JournalEntry, version: FileVersion) =>
  entry.ino === String(version.ino) &&
  entry.sizeBytes === version.sizeBytes &&
  entry.mtimeNs === String(version.mtimeNs)

function read(path: string): { readonly entries: Map<string, JournalEntry>; readonly lines: number } {
  const entries = new Map<string, JournalEntry>()
  let lines = 0
  for (const line of textOf(path).split('\n')) {
    if (line === '') continue
    lines += 1
    const entry = parse(line)
    if (entry !== null) entries.set(entry.name, entry)
  }
  return { entries, lines }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function parse(line: string): JournalEntry | null {
  try {
    return schema.safeParse(JSON.parse(line)).data ?? null
  } catch {
    return null
  }
}

/** In one step; when it fails the longer journal is as good. */
function rewrite(path: string, entries: ReadonlyMap<string, JournalEntry>): void {
  const partial = `${path}.${process.pid}.part`
  try {
    writeFileSync(partial, [...entries.values()].map((entry) => `${JSON.stringify(entry)}\n`).join(''), {
      mode: 0o600,
      flush: true,
    })
    renameSync(partial, path)
  } catch {
    // kept as it is
  }
}
