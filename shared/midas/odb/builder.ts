/** Builds the tree of a dump, within limits that real ODBs never reach and malicious ones must not exceed. */
import { InvalidInputError } from '../../errors.ts'
import { isWellFormed, wellFormed } from '../../text.ts'
import type { Finding } from '../finding.ts'
import type { OdbKey } from './tree.ts'

/** CYGNO's dumps have 0.05 to 0.3 MB, 5000 values and at most 9 levels. */
export const odbLimits = { sizeBytes: 16 * 1024 * 1024, values: 400_000, keys: 200_000, depth: 64 } as const

/**
 * Thrown where a dump is not what it should be: cut, or damaged in one place. What is read elsewhere counts.
 */
export class DumpFault extends InvalidInputError {}

/** After so many faults the rest of a dump is not read. */
const MOST_FAULTS = 100

/** A directory while it is being filled. */
export interface OpenDirectory {
  readonly kind: 'directory'
  readonly name: string
  readonly children: Map<string, OdbKey | OpenDirectory>
}

/** Counters for reading one dump, passed on by every parser. */
export interface OdbBuild {
  keys: number
  values: number
  /** Number of decimal commas that were corrected. */
  decimalCommas: number
  /** Number of texts with characters that were replaced. */
  replacedTexts: number
  /** In the order of the dump. */
  readonly faults: DumpFault[]
}

export function newBuild(): OdbBuild {
  return { keys: 0, values: 0, decimalCommas: 0, replacedTexts: 0, faults: [] }
}

export function newDirectory(name: string): OpenDirectory {
  return { kind: 'directory', name, children: new Map() }
}

/** Adds a key or a directory; an existing one of the same name is replaced, as in MIDAS's own loaders. */
export function addNode(build: OdbBuild, parent: OpenDirectory, node: OdbKey | OpenDirectory): void {
  countKey(build)
  parent.children.set(node.name.toLowerCase(), node)
}

/** The sub-directory of that name, created if missing. */
export function openDirectory(build: OdbBuild, parent: OpenDirectory, name: string): OpenDirectory {
  const there = parent.children.get(name.toLowerCase())
  if (there?.kind === 'directory') return there
  const made = newDirectory(name)
  addNode(build, parent, made)
  return made
}

function countKey(build: OdbBuild): void {
  build.keys += 1
  if (build.keys > odbLimits.keys)
    throw new InvalidInputError(`ODB dump: more than ${odbLimits.keys} keys; no ODB has so many`)
}

export function countValues(build: OdbBuild, count: number): void {
  build.values += count
  if (build.values > odbLimits.values)
    throw new InvalidInputError(`ODB dump: more than ${odbLimits.values} values; no ODB has so many`)
}

export function checkDepth(depth: number): void {
  if (depth > odbLimits.depth)
    throw new InvalidInputError(`ODB dump: directories nested more than ${odbLimits.depth} deep`)
}

/** A key as created by the parsers. */
export function newKey(
  name: string,
  type: number | null,
  value: OdbKey['value'],
  link: string | null = null,
  itemSize: number | null = null,
): OdbKey {
  return { kind: 'key', name, type, value, link, itemSize }
}

/** A dump and the current position in it. */
export interface Scanner {
  readonly text: string
  readonly build: OdbBuild
  at: number
}

/**
 * Runs a step of a parser, after which reading goes on: a fault is noted. After too many, reading goes on at
 * the end of the dump. False after a fault.
 */
export function noteFaults(scanner: Scanner, step: () => void): boolean {
  try {
    step()
    return true
  } catch (fault) {
    if (!(fault instanceof DumpFault)) throw fault
    const { faults } = scanner.build
    if (faults.at(-1)?.message !== fault.message) faults.push(fault)
    if (faults.length >= MOST_FAULTS) scanner.at = scanner.text.length
    return false
  }
}

/** The warning that not all of a dump was read. */
export function damagedWarning([first, ...more]: readonly DumpFault[]): readonly Finding[] {
  if (first === undefined) return []
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`
  const message = `${first.message}${others}; the other keys were read`
  return [{ code: 'odb-damaged', message, offset: null }]
}

/** A text without characters that the catalogue, the queues or a page would refuse. */
export function cleaned(build: OdbBuild, text: string): string {
  if (isWellFormed(text)) return text
  build.replacedTexts += 1
  return wellFormed(text)
}

/** The warning about replaced characters. */
export function replacedTextWarning(count: number): Finding {
  const plural = count === 1 ? 'text has' : 'texts have'
  return {
    code: 'odb-text',
    message: `${count} ${plural} characters in the ODB dump that are no text (halves of characters, NULs); replaced by U+FFFD`,
    offset: null,
  }
}

/** The warning about corrected decimal commas. */
export function decimalCommaWarning(count: number): Finding {
  const plural = count === 1 ? 'number has' : 'numbers have'
  return {
    code: 'odb-decimal-commas',
    message: `${count} ${plural} a decimal comma in the ODB dump (the DAQ ran in a locale with commas); read as decimal points`,
    offset: null,
  }
}
