/**
 * The identity of a run, of its files, of an object, and of a version. A key is parsed only here:
 * `LNGS/run12345.mid.gz` is run 12345 of tag LNGS, `LNGS/run00104sub0001.mid.lz4` the second file of run 104.
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
  readonly lastModified: Date
}

const FILE_NAME = /^run(?<run>\d+)(?:sub(?<sub>\d+))?\.mid(?:\.(?<suffix>gz|lz4|bz2))?$/

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

/**
 * Segments that file systems and tape paths would resolve to another location: `a//b` and `a/./b` mean `a/b`
 * there.
 */
const UNSAFE_SEGMENTS = new Set(['', '.', '..'])

/**
 * Parses a key. Returns null for anything but a run file below a tag: another name, no tag, a tag of more
 * than 200 characters or with empty, `.` or `..` segments or control characters, a number above 4294967295.
 */
export function parseRunKey(key: string): RunFileId | null {
  const tag = folderOf(key)
  const fileName = key.slice(key.lastIndexOf('/') + 1)
  const { run, sub, suffix } = FILE_NAME.exec(fileName)?.groups ?? {}
  if (run === undefined || !isTag(tag)) return null
  const runNumber = Number(run)
  const subrun = sub === undefined ? null : Number(sub)
  if (runNumber > LARGEST_RUN_NUMBER || (subrun ?? 0) > LARGEST_RUN_NUMBER) return null
  const compression = suffix === undefined ? 'none' : COMPRESSION_BY_SUFFIX[suffix]
  return compression === undefined ? null : { tag, runNumber, subrun, fileName, compression }
}

/** What stands before the file name of a key: the tag, if it is valid; '' if there is nothing. */
export const folderOf = (key: string): string => key.slice(0, Math.max(key.lastIndexOf('/'), 0))

/** Whether a text is a valid tag: `LNGS`, `FLASH/2024`. */
export function isTag(tag: string): boolean {
  if (tag.length > MAX_TAG_LENGTH || /\p{Cc}/u.test(tag) || !tag.isWellFormed()) return false
  return tag.split('/').every((segment) => !UNSAFE_SEGMENTS.has(segment))
}

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
