/**
 * ODB dumps in JSON, in MIDAS's two dialects: the raw one of run files, where each key `X` has a sibling
 * `X/key` with its type, and the plain one of MIDAS clients.
 *
 * Needs its own parser, because real dumps are not valid JSON: decimal commas of a DAQ with an Italian
 * locale, control characters in strings. It reads once from left to right, in linear time and with bounded
 * depth.
 */
import { InvalidInputError } from '../../errors.ts'
import { TID } from '../tid.ts'
import {
  addNode,
  checkDepth,
  cleaned,
  countValues,
  newBuild,
  newDirectory,
  newKey,
  type OdbBuild,
  type OpenDirectory,
} from './builder.ts'
import type { OdbKey, OdbScalar } from './tree.ts'
import { exact, valueOfJson } from './values.ts'

/** A JSON value before its type is known. */
type Json = OdbScalar | readonly OdbScalar[] | JsonObject | null
interface JsonObject {
  readonly members: Map<string, Json>
}

interface Scanner {
  readonly text: string
  readonly build: OdbBuild
  at: number
}

/**
 * Parses a dump; `raw` is true if it had `/key` metadata. Throws InvalidInputError with the position of the
 * error.
 */
export function parseJsonOdb(text: string): { root: OpenDirectory; raw: boolean; build: OdbBuild } {
  const scanner: Scanner = { text, build: newBuild(), at: 0 }
  const value = readValue(scanner, 1)
  skipBlanks(scanner)
  if (scanner.at < text.length) throw fault(scanner, 'something follows the closing brace')
  if (!isObject(value)) throw new InvalidInputError('ODB dump: not a JSON object')
  const root = newDirectory('')
  const raw = fillDirectory(scanner.build, root, value)
  return { root, raw, build: scanner.build }
}

const isObject = (value: Json): value is JsonObject =>
  typeof value === 'object' && value !== null && 'members' in value

function fault(scanner: Scanner, what: string): InvalidInputError {
  return new InvalidInputError(`ODB dump: not valid JSON at character ${scanner.at}: ${what}`)
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

function readValue(scanner: Scanner, depth: number): Json {
  skipBlanks(scanner)
  const char = scanner.text[scanner.at]
  if (char === '{') return readObject(scanner, depth)
  if (char === '[') return readArray(scanner)
  return readScalar(scanner)
}

function readScalar(scanner: Scanner): OdbScalar | null {
  const char = scanner.text[scanner.at]
  countValues(scanner.build, 1)
  if (char === '"') return readString(scanner)
  if (char === undefined) throw fault(scanner, 'it ends in the middle')
  const comma = take(scanner, COMMA)
  if (comma !== undefined) {
    scanner.build.decimalCommas += 1
    return Number(comma.replace(',', '.'))
  }
  const number = take(scanner, NUMBER)
  if (number !== undefined) return /^-?\d{16,20}$/.test(number) ? exact(BigInt(number)) : Number(number)
  const word = WORDS.get((take(scanner, WORD) ?? '').toLowerCase())
  if (word === undefined) throw fault(scanner, 'a value was expected')
  return word
}

function readObject(scanner: Scanner, depth: number): JsonObject {
  checkDepth(depth)
  scanner.at += 1
  const members = new Map<string, Json>()
  if (takeChar(scanner, '}')) return { members }
  for (;;) {
    skipBlanks(scanner)
    if (scanner.text[scanner.at] !== '"') throw fault(scanner, 'a key name in quotes was expected')
    const name = readString(scanner)
    if (!takeChar(scanner, ':')) throw fault(scanner, `a colon was expected after the key name`)
    countValues(scanner.build, 1)
    members.set(name, readValue(scanner, depth + 1))
    if (takeChar(scanner, ',')) continue
    if (takeChar(scanner, '}')) return { members }
    throw fault(
      scanner,
      scanner.at >= scanner.text.length ? 'it ends in the middle' : 'a comma or a closing brace was expected',
    )
  }
}

function readArray(scanner: Scanner): readonly OdbScalar[] {
  scanner.at += 1
  const values: OdbScalar[] = []
  if (takeChar(scanner, ']')) return values
  for (;;) {
    skipBlanks(scanner)
    const value = readScalar(scanner)
    values.push(value ?? undefined)
    if (takeChar(scanner, ',')) continue
    if (takeChar(scanner, ']')) return values
    throw fault(
      scanner,
      scanner.at >= scanner.text.length
        ? 'it ends in the middle'
        : 'a comma or a closing bracket was expected',
    )
  }
}

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
    if (char === undefined) throw fault(scanner, 'a string has no closing quote')
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
    if (isMetadata(name, value, object)) {
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

/** `X/key` next to `X`: ODB names cannot contain a slash, so no other key has such a name. */
function isMetadata(name: string, value: Json, object: JsonObject): boolean {
  return name.endsWith('/key') && isObject(value) && object.members.has(name.slice(0, -'/key'.length))
}

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
