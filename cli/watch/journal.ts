/**
 * The journal of a folder on this machine: which version of which file is in the store, with its checksums, so
 * that a restart does not read all runs again. One JSON object a line, appended; the last one for a name counts.
 * It is only a hint: the store and the catalogue are the truth, and no file is deleted because of it. After a
 * kill or on a full disk only the last lines are lost, and their files are read once more.
 */
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import * as z from 'zod'
import type { FileVersion } from './scan.ts'

const schema = z.object({
  name: z.string(),
  /** `deleted`: removed by this program. `gone`: removed by another, and reported to the catalogue. */
  state: z.enum(['pushed', 'deleted', 'gone']),
  /** Identity of its folder: see on-disk.ts. */
  folder: z.string().nullable().default(null),
  ino: z.string(),
  sizeBytes: z.int(),
  mtimeNs: z.string(),
  bucket: z.string(),
  key: z.string(),
  md5: z.string(),
  sha256: z.string(),
  adler32: z.string(),
  /** When the file was read for the checksums. */
  at: z.iso.datetime(),
  /** It was reported to the catalogue that the file is on this disk. */
  isNoted: z.boolean(),
})
export type JournalEntry = Readonly<z.infer<typeof schema>>

export interface Journal {
  /** The entry of this version of the file; null when there is none. */
  find(name: string, version: FileVersion): JournalEntry | null
  /** The last entry for a name, whatever its version. */
  last(name: string): JournalEntry | null
  /** Files that were reported to the catalogue as present, and not yet as removed. */
  noted(): readonly JournalEntry[]
  /** Never throws; false when the entry could not be written and is only in memory. */
  write(entry: JournalEntry): boolean
}

/**
 * Entries of missing files are kept for so long: their disk may only be unmounted. Entries of files that were
 * reported as present are kept until their removal is reported.
 */
const FORGET_AFTER_MS = 90 * 86_400_000
/** The journal is rewritten when the share of superseded lines is larger. */
const MOST_DEAD_LINES = 0.5

/**
 * Reads the journal; damaged lines are ignored.
 * @param present names of the files in the folder now.
 */
export function openJournal(path: string, present: ReadonlySet<string>, nowMs: number): Journal {
  const { entries, lines } = read(path)
  for (const [name, { state, at, isNoted }] of entries)
    if (!present.has(name) && (state !== 'pushed' || (!isNoted && nowMs - Date.parse(at) > FORGET_AFTER_MS)))
      entries.delete(name)
  if (lines - entries.size > MOST_DEAD_LINES * lines) rewrite(path, entries)
  // After a line that a kill has cut, the next one needs a new line.
  let isCut = true
  return {
    find(name, version) {
      const entry = entries.get(name)
      if (entry === undefined || !isAbout(entry, version)) return null
      // The file is back: it has to be reported to the catalogue again.
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

/** The device is not compared: its number changes at a reboot. */
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

/** Replaces the journal atomically; if that fails, the longer journal is used. */
function rewrite(path: string, entries: ReadonlyMap<string, JournalEntry>): void {
  const partial = `${path}.${process.pid}.part`
  try {
    writeFileSync(partial, [...entries.values()].map((entry) => `${JSON.stringify(entry)}\n`).join(''), {
      mode: 0o600,
      flush: true,
    })
    renameSync(partial, path)
  } catch {
    // the journal is unchanged
  }
}
