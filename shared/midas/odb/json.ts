/**
 * ODB dumps in JSON, in MIDAS's two dialects: the raw one of run files, where each key `X` has a sibling
 * `X/key` with its type, and the plain one of MIDAS clients.
 *
 * Needs its own parser, because real dumps are not valid JSON: decimal commas of a DAQ with an Italian
 * locale, control characters in strings; some are cut. It reads once from left to right, in linear time and
 * with bounded depth. After a fault it continues with the next member.
 */
import { TID } from '../tid.ts'
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
  type Scanner,
} from './builder.ts'
import type { OdbKey, OdbScalar } from './tree.ts'
import { exact, valueOfJson } from './values.ts'

/** A JSON value before its type is known. */
type Json = OdbScalar | readonly OdbScalar[] | JsonObject | null
interface JsonObject {
  readonly members: Map<string, Json>
}

/**
 * Parses a dump; `raw` is true if it had `/key` metadata. Faults are in the build, with their positions.
 * @throws InvalidInputError when a limit is exceeded.
 */
export function parseJsonOdb(text: string): { root: OpenDirectory; raw: boolean; build: OdbBuild } {
  const scanner: Scanner = { text, build: newBuild(), at: 0 }
  const members: JsonObject['members'] = new Map()
  noteFaults(scanner, () => {
    skipBlanks(scanner)
    readObject(scanner, members, 1)
    skipBlanks(scanner)
    if (scanner.at < text.length) throw fault(scanner, 'something follows the closing brace')
  })
  const root = newDirectory('')
  const raw = fillDirectory(scanner.build, root, { members })
  return { root, raw, build: scanner.build }
}

const isObject = (value: Json): value is JsonObject =>
  typeof value === 'object' && value !== null && 'members' in value

function fault(scanner: Scanner, what: string): DumpFault {
  return new DumpFault(`ODB dump: not valid JSON at character ${scanner.at}: ${what}`)
}

// ---- text to JSON values

const [TAB, LINE_FEED, CARRIAGE_RETURN, SPACE] = [9, 10, 13, 32]
// MIDAS prints doubles with 16 and floats with 7 digits after the point; only these lengths can be a decimal
// comma.
const COMMA = /-?\d,(?:\d{16}|\d{7})e[+-]\d{2,3}/y
const NUMBER = /-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y
const WORD = /-?[A-Za-z]{1,9}/y

const WORDS: ReadonlyMap<string, boolean | null | number> = new Map<string, boolean | null | number>([
  ['true', true],
  ['false', false],
  ['null', null],
  ['nan', Number.NaN],
  ['-nan', Number.NaN],
  ['inf', Number.POSITIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
  ['infinity', Number.POSITIVE_INFINITY],
  ['-infinity', Number.NEGATIVE_INFINITY],
])

function skipBlanks(scanner: Scanner): void {
  const { text } = scanner
  let { at } = scanner
  // Most of a dump is indentation: this loop dominates the parsing time.
  for (
    let code = text.charCodeAt(at);
    code === SPACE || code === LINE_FEED || code === TAB || code === CARRIAGE_RETURN;
  )
    code = text.charCodeAt(++at)
  scanner.at = at
}

/** The text that the pattern matches here, which is consumed; undefined when it does not match. */
function take(scanner: Scanner, pattern: RegExp): string | undefined {
  pattern.lastIndex = scanner.at
  if (!pattern.test(scanner.text)) return undefined
  const taken = scanner.text.slice(scanner.at, pattern.lastIndex)
  scanner.at = pattern.lastIndex
  return taken
}

function takeChar(scanner: Scanner, char: string): boolean {
  skipBlanks(scanner)
  if (scanner.text[scanner.at] !== char) return false
  scanner.at += 1
  return true
}

function readScalar(scanner: Scanner): OdbScalar | null {
  const char = scanner.text[scanner.at]
  countValues(scanner.build, 1)
  const value = char === '"' ? readString(scanner) : readWord(scanner)
  skipBlanks(scanner)
  const after = scanner.text[scanner.at]
  if (after === undefined) throw endsInTheMiddle(scanner)
  // The beginning of something else is not a value: 1.#QNAN is not 1.
  if (after !== ',' && after !== '}' && after !== ']') throw fault(scanner, 'a value was expected')
  return value
}

function readWord(scanner: Scanner): OdbScalar | null {
  const comma = take(scanner, COMMA)
  if (comma !== undefined) {
    scanner.build.decimalCommas += 1
    return Number(comma.replace(',', '.'))
  }
  const number = take(scanner, NUMBER)
  if (number !== undefined) return /^-?\d{16,20}$/.test(number) ? exact(BigInt(number)) : Number(number)
  const word = WORDS.get((take(scanner, WORD) ?? '').toLowerCase())
  if (word === undefined)
    throw scanner.at < scanner.text.length ? fault(scanner, 'a value was expected') : endsInTheMiddle(scanner)
  return word
}

const endsInTheMiddle = (scanner: Scanner) => fault(scanner, 'it ends in the middle')

/** Reads members from the opening brace on. What is read before a fault is in `members`. */
function readObject(scanner: Scanner, members: JsonObject['members'], depth: number): void {
  checkDepth(depth)
  scanner.at += 1
  if (takeChar(scanner, '}')) return
  let last = ''
  do {
    noteFaults(scanner, () => {
      skipBlanks(scanner)
      const char = scanner.text[scanner.at] ?? ''
      if (char !== '"') {
        // It may be the rest of a number with a decimal comma: what precedes it is not the value.
        if (/\d/.test(char)) members.delete(last)
        throw fault(scanner, 'a key name in quotes was expected')
      }
      last = readString(scanner)
      if (!takeChar(scanner, ':')) throw fault(scanner, 'a colon was expected after the key name')
      countValues(scanner.build, 1)
      readMember(scanner, members, last, depth)
    })
  } while (hasNext(scanner, '}'))
}

function readMember(scanner: Scanner, members: JsonObject['members'], name: string, depth: number): void {
  skipBlanks(scanner)
  const char = scanner.text[scanner.at]
  if (char === '{') {
    const object: JsonObject = { members: new Map() }
    members.set(name, object)
    readObject(scanner, object.members, depth + 1)
  } else if (char === '[') {
    const values: OdbScalar[] = []
    members.set(name, values)
    readArray(scanner, values)
  } else members.set(name, readScalar(scanner))
}

/** Elements from the opening bracket on; one that cannot be read is undefined. */
function readArray(scanner: Scanner, values: OdbScalar[]): void {
  scanner.at += 1
  if (takeChar(scanner, ']')) return
  do {
    skipBlanks(scanner)
    if (!noteFaults(scanner, () => values.push(readScalar(scanner) ?? undefined))) values.push(undefined)
  } while (hasNext(scanner, ']'))
}

/** Whether another element follows, which may be after a fault; false at the closing bracket, which is taken. */
function hasNext(scanner: Scanner, closing: '}' | ']'): boolean {
  for (;;) {
    if (takeChar(scanner, ',')) return true
    if (takeChar(scanner, closing)) return false
    if (scanner.at >= scanner.text.length) throw endsInTheMiddle(scanner)
    const what = closing === '}' ? 'brace' : 'bracket'
    noteFaults(scanner, () => {
      throw fault(scanner, `a comma or a closing ${what} was expected`)
    })
    if (scanner.text[scanner.at] === '"') return true
    scanner.at += 1
    take(scanner, REST)
  }
}

/** What stands between a fault and the next place where reading can continue. */
const REST = /[^,}\]"]*/y

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

/**
 * A string from its opening quote on. Control characters inside are kept: MIDAS does not escape all of them.
 */
function readString(scanner: Scanner): string {
  const { text } = scanner
  const from = scanner.at + 1
  let plain = from
  const parts: string[] = []
  for (let at = from; ; at++) {
    const char = text[at]
    if (char === undefined) {
      scanner.at = text.length
      throw fault(scanner, 'a string has no closing quote')
    }
    if (char === '"') {
      scanner.at = at + 1
      const last = text.slice(plain, at)
      return cleaned(scanner.build, parts.length === 0 ? last : parts.join('') + last)
    }
    if (char !== '\\') continue
    parts.push(text.slice(plain, at))
    at += 1
    const escaped = text[at] ?? ''
    const code = escaped === 'u' ? /^[0-9a-fA-F]{4}$/.exec(text.slice(at + 1, at + 5)) : null
    parts.push(
      code === null ? (ESCAPES[escaped] ?? escaped) : String.fromCharCode(Number.parseInt(code[0], 16)),
    )
    if (code !== null) at += 4
    plain = at + 1
  }
}

// ---- JSON values to ODB keys

/** Fills a directory; true when it or a sub-directory had `/key` metadata. */
function fillDirectory(build: OdbBuild, directory: OpenDirectory, object: JsonObject): boolean {
  let raw = false
  for (const [name, value] of object.members) {
    if (isMetadata(name, value)) {
      raw = true
      continue
    }
    if (isObject(value)) {
      const child = newDirectory(name)
      raw = fillDirectory(build, child, value) || raw
      addNode(build, directory, child)
    } else {
      const metadata = object.members.get(`${name}/key`)
      addNode(
        build,
        directory,
        keyOf(build, name, value, metadata !== undefined && isObject(metadata) ? metadata : null),
      )
    }
  }
  return raw
}

/** `X/key` of `X`: ODB names cannot contain a slash, so no other key has such a name. */
const isMetadata = (name: string, value: Json): boolean => name.endsWith('/key') && isObject(value)

function keyOf(
  build: OdbBuild,
  name: string,
  json: Exclude<Json, JsonObject>,
  metadata: JsonObject | null,
): OdbKey {
  const number = (field: string) => {
    const value = metadata?.members.get(field)
    return typeof value === 'number' ? value : null
  }
  const type = number('type')
  const value = Array.isArray(json)
    ? json.map((item: OdbScalar) => valueOfJson(type, item, build))
    : valueOfJson(type, (json as Exclude<typeof json, readonly OdbScalar[]>) ?? undefined, build)
  const target = metadata?.members.get('link')
  const link =
    typeof target === 'string' ? target : type === TID.link && typeof value === 'string' ? value : null
  return newKey(name, type, value, link, number('item_size'))
}
