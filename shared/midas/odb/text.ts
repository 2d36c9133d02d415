/**
 * ODB dumps in MIDAS's old text form (`odbedit save`, and run files of old set-ups):
 *
 *     [/Equipment/HV/Variables]
 *     Recovery = INT : 1
 *     Names = STRING[2] :
 *     [32] Offset
 *     [32] VGEM3
 *     Demand = FLOAT[2] :
 *     [0] 10
 *     [1] 400
 *     Note = STRING : [====#$@$#====]
 *     several lines
 *     ====#$@$#====
 *
 * `[.]` is the root. A string's number in brackets is the room it has, an array element's is its index.
 */
import { TID, tidOfName } from '../tid.ts'
import {
  addNode,
  checkDepth,
  cleaned,
  countValues,
  DumpFault,
  newBuild,
  newDirectory,
  newKey,
  noteFaults,
  type OdbBuild,
  type OpenDirectory,
  openDirectory,
  type Scanner,
} from './builder.ts'
import type { OdbScalar } from './tree.ts'
import { valueOfText } from './values.ts'

const SECTION = /^\[([^\]]*)\]\s*$/
/** Name (may contain blanks and dots, but no equal sign), type, number of values, rest. */
const KEY = /^([^=]*[^=\s])\s*=\s*([A-Z][A-Z0-9_]{2,8})(?:\[(\d{1,9})\])?\s*:\s?(.*)$/s
const STRING_VALUE = /^\[(\d{1,9})\] ?(.*)$/s
const MULTI_LINE = '====#$@$#===='

/**
 * The position is the start of the next line. Lines are extracted one at a time: a list of all lines would need
 * more memory than the dump.
 */
type Lines = Scanner

/** The next whole line, without moving on; undefined at the end. */
function peek({ text, at }: Lines): string | undefined {
  const end = text.indexOf('\n', at)
  return end === -1 ? undefined : text.slice(at, end)
}

function next(lines: Lines): string | undefined {
  const line = peek(lines)
  if (line !== undefined) lines.at += line.length + 1
  return line
}

/**
 * Parses a dump. Lines that are neither a section nor a key are skipped, as in MIDAS. Faults are in the build.
 * @throws InvalidInputError when a limit is exceeded.
 */
export function parseTextOdb(dump: string): { root: OpenDirectory; build: OdbBuild } {
  const build = newBuild()
  const text = cleaned(build, dump)
  const root = newDirectory('')
  const lines: Lines = { text, build, at: 0 }
  noteFaults(lines, () => readLines(lines, root))
  return { root, build }
}

function readLines(lines: Lines, root: OpenDirectory): void {
  const { build } = lines
  let directory = root
  for (let line = next(lines); line !== undefined; line = next(lines)) {
    const section = SECTION.exec(line)
    if (section !== null) {
      const path = (section[1] ?? '').split('/').filter((part) => part !== '' && part !== '.')
      checkDepth(path.length)
      directory = path.reduce((parent, part) => openDirectory(build, parent, part), root)
      continue
    }
    const key = KEY.exec(line)
    if (key !== null) readKey(build, directory, lines, key)
  }
  if (build.values === 0) throw new DumpFault('ODB dump: it looks like the old text form but holds no key')
  if (lines.at < lines.text.length) throw new DumpFault('ODB dump: it ends in the middle of a line')
}

function readKey(build: OdbBuild, directory: OpenDirectory, lines: Lines, match: RegExpExecArray): void {
  const [, name = '', typeName = '', count, rest = ''] = match
  const type = tidOfName(typeName)
  if (type === undefined) return
  // A name without a count is a single value; MIDAS itself writes a count only for two or more.
  if (count !== undefined) {
    addNode(build, directory, newKey(name, type, readArray(build, lines, type, Number(count))))
    return
  }
  countValues(build, 1)
  if (type !== TID.string && type !== TID.link) {
    addNode(build, directory, newKey(name, type, valueOfText(type, rest, build)))
    return
  }
  if (rest.startsWith(`[${MULTI_LINE}`)) {
    addNode(build, directory, newKey(name, type, readMultiLine(lines)))
    return
  }
  const string = STRING_VALUE.exec(rest)
  const value = string?.[2] ?? rest
  addNode(
    build,
    directory,
    newKey(name, type, value, type === TID.link ? value : null, string === null ? null : Number(string[1])),
  )
}

/**
 * The elements that follow. The count may be wrong: the array ends where a section or the next key begins.
 */
function readArray(build: OdbBuild, lines: Lines, type: number, count: number): readonly OdbScalar[] {
  const values: OdbScalar[] = []
  const isText = type === TID.string || type === TID.link
  for (let line = peek(lines); values.length < count && line !== undefined; line = peek(lines)) {
    const value = STRING_VALUE.exec(line)
    if (value === null) {
      // A string element may contain line breaks; for other types such a line ends the array.
      if (!isText || values.length === 0 || line === '' || SECTION.test(line) || KEY.test(line)) break
      values[values.length - 1] = `${values.at(-1)}\n${line}`
    } else {
      countValues(build, 1)
      values.push(isText ? (value[2] ?? '') : valueOfText(type, value[2] ?? '', build))
    }
    next(lines)
  }
  return values
}

function readMultiLine(lines: Lines): string {
  // The mark is on a line of its own; the text before it may be empty.
  const from = lines.at
  const end = lines.text.indexOf(`\n${MULTI_LINE}\n`, from - 1)
  if (end === -1) throw new DumpFault(`ODB dump: the text at character ${from} has no end mark ${MULTI_LINE}`)
  lines.at = end + MULTI_LINE.length + 2
  return lines.text.slice(from, Math.max(from, end))
}
