/**
 * The identity of a run, of its files, of an object, and of a version. A key is parsed only here:
 * `LNGS/run12345.mid.gz` is run 12345 of tag LNGS, `LNGS/run00104sub0001.mid.lz4` (or `run00104_0001.mid.lz4`)
 * the second file of run 104.
 *
 * Numbers are formatted as by MIDAS (printf formats of the ODB, `run%05d.mid` by default): padding is a
 * minimum, so names are never compared as text.
 */
import { InvalidInputError } from './errors.ts'

/** A run. Numbers repeat between tags, have up to seven digits, and are never compared as text. */
export interface RunId {
  /** Site or detector, may contain `/`: everything before the file name of a key. */
  readonly tag: string
  readonly runNumber: number
}

export type RunCompression = 'none' | 'gzip' | 'lz4' | 'bzip2'

/** A file of a run, from its name. */
export interface RunFileId extends RunId {
  /** null when the run is one file; else the number of this file of the run, from 0. */
  readonly subrun: number | null
  readonly fileName: string
  readonly compression: RunCompression
}

/** The location of an object. */
export interface ObjectName {
  readonly bucket: string
  readonly key: string
}

/** One version of an object, as described by the store. */
export interface ObjectVersion extends ObjectName {
  /** Without quotes. */
  readonly etag: string
  /** Null if the bucket is not versioned. */
  readonly versionId: string | null
  readonly sizeBytes: number
  /** Since when the store has it; null if the store does not state it: then it may be new. */
  readonly lastModified: Date | null
}

const FILE_NAME = /^run(?<run>\d+)(?:(?:sub|_)(?<sub>\d+))?\.mid(?:\.(?<suffix>gz|lz4|bz2))?$/

const COMPRESSION_BY_SUFFIX: Readonly<Record<string, RunCompression>> = {
  gz: 'gzip',
  lz4: 'lz4',
  bz2: 'bzip2',
}
const SUFFIX_BY_COMPRESSION: Readonly<Record<RunCompression, string>> = {
  none: '',
  gzip: '.gz',
  lz4: '.lz4',
  bzip2: '.bz2',
}

/** Largest number that MIDAS (DWORD) and the catalogue (INT UNSIGNED) can store. */
export const LARGEST_RUN_NUMBER = 0xffffffff

/** Longest tag that the catalogue can store, characters. */
const MAX_TAG_LENGTH = 200

/** Longest part of a key between slashes, bytes: names of copies on tape add a few to those of objects. */
const MAX_PART_BYTES = 240

/**
 * Parts of a tag: letters and digits of any script, blanks inside, and some punctuation. Not `*` (all tags, in
 * scopes), `\` (no tape endpoint keeps it), or what cannot be seen.
 */
const TAG_PART = /^(?! )(?:(?!\p{Default_Ignorable_Code_Point})[\p{L}\p{M}\p{Nd} ._+=:,@&%()<>'-])+(?<! )$/u

/** The rule of `isTag` for people. */
export const TAG_RULE =
  "a tag has letters, digits, blanks and . _ - + = : , @ & % ( ) < > ' in parts separated by /, as in LNGS or FLASH/2024"

/** Parts that file systems and tape paths would resolve to another location: `a/./b` means `a/b` there. */
const UNSAFE_PARTS = new Set(['.', '..'])

/**
 * Parses a key. Returns null for anything but a run file below a tag: another name, no tag, a text that is no
 * tag, a number above 4294967295.
 */
export function parseRunKey(key: string): RunFileId | null {
  const tag = folderOf(key)
  const fileName = key.slice(key.lastIndexOf('/') + 1)
  const { run, sub, suffix } = FILE_NAME.exec(fileName)?.groups ?? {}
  if (run === undefined || !isTag(tag) || fileName.length > MAX_PART_BYTES) return null
  const runNumber = Number(run)
  const subrun = sub === undefined ? null : Number(sub)
  if (runNumber > LARGEST_RUN_NUMBER || (subrun ?? 0) > LARGEST_RUN_NUMBER) return null
  const compression = suffix === undefined ? 'none' : COMPRESSION_BY_SUFFIX[suffix]
  return compression === undefined ? null : { tag, runNumber, subrun, fileName, compression }
}

/** What stands before the file name of a key: the tag, if it is valid; '' if there is nothing. */
export const folderOf = (key: string): string => key.slice(0, Math.max(key.lastIndexOf('/'), 0))

/** Whether a text is a valid tag: `LNGS`, `FLASH/2024`. */
export const isTag = (tag: string): boolean => tag.length <= MAX_TAG_LENGTH && tag.split('/').every(isTagPart)

const isTagPart = (part: string): boolean =>
  TAG_PART.test(part) && !UNSAFE_PARTS.has(part) && Buffer.byteLength(part) <= MAX_PART_BYTES

/** Whether two tags can be confused: by case, accents, blanks and punctuation, or by one character. */
export function isSimilarTag(one: string, other: string): boolean {
  const [a, b] = [bareLetters(one), bareLetters(other)]
  let start = 0
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++
  let end = 0
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++
  return Math.max(a.length, b.length) - start - end <= 1
}

const bareLetters = (tag: string) =>
  tag
    .normalize('NFKD')
    .replace(/[^\p{L}\p{Nd}/]/gu, '')
    .toLowerCase()

/**
 * The file name that MIDAS gives: five digits for the run, four for the subrun, more where needed.
 * @throws InvalidInputError for an invalid number.
 */
export function runFileName(run: {
  readonly runNumber: number
  readonly subrun?: number | null
  readonly compression?: RunCompression
}): string {
  const subrun = run.subrun ?? null
  const sub = subrun === null ? '' : `sub${padded(subrun, 4)}`
  return `run${padded(run.runNumber, 5)}${sub}.mid${SUFFIX_BY_COMPRESSION[run.compression ?? 'gzip']}`
}

function padded(value: number, digits: number): string {
  if (!Number.isInteger(value) || value < 0 || value > LARGEST_RUN_NUMBER)
    throw new InvalidInputError(`${value} is not the number of a run`)
  return String(value).padStart(digits, '0')
}
