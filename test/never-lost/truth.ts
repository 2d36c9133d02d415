/**
 * What is really in the store and on tape, and was at any time; kept by the test from what it reads itself.
 * Nothing here asks the catalogue or the code under test.
 */
import { createHash } from 'node:crypto'

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/**
 * `local/<key>` on the DAQ's disk, `store/<key>`, `tape/<name>`, or `media/<name>`: on tape, and on the
 * medium rather than a disk buffer.
 */
export type Location = `${'local' | 'store' | 'tape' | 'media'}/${string}`

interface Held {
  /** Counts all that happens. */
  readonly seq: number
  readonly atMs: number
  readonly sha256: string | null
}

/** The contents of an object. */
export interface Content {
  readonly key: string
  readonly sha256: string
}

export interface Truth {
  /** The count of what has happened so far. */
  seq(): number
  note(location: Location, sha256: string | null): void
  now(location: Location): string | null
  locations(kind: 'store' | 'tape'): readonly string[]
  /** Whether these contents were there at any moment of a stretch. */
  heldBetween(location: Location, sha256: string, fromSeq: number, toSeq: number): boolean
  heldAtTime(location: Location, sha256: string, fromMs: number, toMs: number): boolean
  /** Names under which contents can be on tape. */
  tapeNames(content: Content): readonly string[]
  copies(content: Content): readonly Location[]
  /** Contents of which a copy must exist from now on. */
  require(content: Content): void
  /** Whether that was ever said of them. */
  wasRequired(content: Content): boolean
  /** The test's own doing left no copy of them: then nobody is to blame. */
  excuse(content: Content): void
  required(): readonly Content[]
}

export function createTruth(nowMs: () => number, bucket: string): Truth {
  const held = new Map<Location, Held[]>()
  const must = new Map<string, Content>()
  const ever = new Set<string>()
  const nameOf = ({ key, sha256 }: Content) => `${key} ${sha256}`
  let count = 0
  const of = (location: Location) => held.get(location) ?? []
  const between = (
    location: Location,
    sha256: string,
    isIn: (from: Held, until: Held | undefined) => boolean,
  ) => of(location).some((entry, index, all) => entry.sha256 === sha256 && isIn(entry, all[index + 1]))
  const truth: Truth = {
    seq: () => count,
    note(location, sha256) {
      count++
      const before = of(location)
      if ((before.at(-1)?.sha256 ?? null) !== sha256)
        held.set(location, [...before, { seq: count, atMs: nowMs(), sha256 }])
    },
    now: (location) => of(location).at(-1)?.sha256 ?? null,
    locations: (kind) =>
      [...held]
        .filter(([name, all]) => name.startsWith(`${kind}/`) && all.at(-1)?.sha256 != null)
        .map(([name]) => name.slice(kind.length + 1)),
    heldBetween: (location, sha256, fromSeq, toSeq) =>
      between(
        location,
        sha256,
        (from, until) => from.seq <= toSeq && (until === undefined || until.seq > fromSeq),
      ),
    heldAtTime: (location, sha256, fromMs, toMs) =>
      between(
        location,
        sha256,
        (from, until) => from.atMs <= toMs && (until === undefined || until.atMs >= fromMs),
      ),
    // As docs/adr/0007 has it, spelled out once more: the object's own name, or one beside it with the
    // beginning of the checksum.
    tapeNames: ({ key, sha256 }) => [
      `${bucket}/${key}`,
      `${bucket}/${key.replace(/\.mid$/, `.${sha256.slice(0, 12)}.mid`)}`,
    ],
    copies: (content) =>
      [
        `local/${content.key}` as const,
        `store/${content.key}` as const,
        ...truth.tapeNames(content).map((name) => `tape/${name}` as const),
      ].filter((location) => truth.now(location) === content.sha256),
    require(content) {
      must.set(nameOf(content), content)
      ever.add(nameOf(content))
    },
    wasRequired: (content) => ever.has(nameOf(content)),
    excuse: (content) => void must.delete(nameOf(content)),
    required: () => [...must.values()],
  }
  return truth
}
