/**
 * The ground truth: what is and was in the store, on tape and on the DAQ's disk. The test records it from
 * what it reads itself, never from the catalogue or the code under test.
 */
import { createHash } from 'node:crypto'

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/**
 * `local/<key>` on the DAQ's disk, `store/<key>`, `tape/<name>`, or `media/<name>`: on tape, and on the
 * medium rather than a disk buffer.
 */
export type Location = `${'local' | 'store' | 'tape' | 'media'}/${string}`

interface Held {
  /** Number of the record. */
  readonly seq: number
  readonly atMs: number
  readonly sha256: string | null
}

/** The contents of an object. */
export interface Content {
  readonly key: string
  readonly sha256: string
}

export interface GroundTruth {
  /** The number of records so far. */
  seq(): number
  record(location: Location, sha256: string | null): void
  now(location: Location): string | null
  locations(kind: 'store' | 'tape'): readonly string[]
  /** Whether these contents were there at any moment of an interval. */
  heldBetween(location: Location, sha256: string, fromSeq: number, toSeq: number): boolean
  heldAtTime(location: Location, sha256: string, fromMs: number, toMs: number): boolean
  /** Names under which contents can be on tape. */
  tapeNames(content: Content): readonly string[]
  copies(content: Content): readonly Location[]
  /** Contents of which a copy must exist from now on. */
  require(content: Content): void
  /** Whether a copy of the contents was ever required. */
  wasRequired(content: Content): boolean
  /** The test itself destroyed the last copy: none is required any more. */
  excuse(content: Content): void
  required(): readonly Content[]
}

export function createGroundTruth(nowMs: () => number, bucket: string): GroundTruth {
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
  const groundTruth: GroundTruth = {
    seq: () => count,
    record(location, sha256) {
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
    // The rule of docs/adr/0007, implemented independently: the name of the object, or the alternate name
    // with the beginning of the checksum.
    tapeNames: ({ key, sha256 }) => [
      `${bucket}/${key}`,
      `${bucket}/${key.replace(/\.mid$/, `.${sha256.slice(0, 12)}.mid`)}`,
    ],
    copies: (content) =>
      [
        `local/${content.key}` as const,
        `store/${content.key}` as const,
        ...groundTruth.tapeNames(content).map((name) => `tape/${name}` as const),
      ].filter((location) => groundTruth.now(location) === content.sha256),
    require(content) {
      must.set(nameOf(content), content)
      ever.add(nameOf(content))
    },
    wasRequired: (content) => ever.has(nameOf(content)),
    excuse: (content) => void must.delete(nameOf(content)),
    required: () => [...must.values()],
  }
  return groundTruth
}
