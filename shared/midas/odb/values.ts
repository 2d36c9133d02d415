/** Converts the text of a value in a dump, by the key's MIDAS type. */
import { TID } from '../tid.ts'
import type { OdbBuild } from './builder.ts'
import type { OdbScalar } from './tree.ts'

/** A number in JSON, `%g` or hexadecimal notation. The quantifiers do not overlap: matching is linear. */
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/
const INTEGER = /^[+-]?\d{1,20}$/
const HEXADECIMAL = /^0x[0-9a-f]{1,16}$/i
const COMMA_NUMBER = /^([+-]?\d+),(\d+(?:[eE][+-]?\d+)?)$/

const INTEGERS: ReadonlySet<number> = new Set([
  TID.uint8,
  TID.int8,
  TID.uint16,
  TID.int16,
  TID.uint32,
  TID.int32,
  TID.bitfield,
  TID.int64,
  TID.uint64,
])

/** A number if that is exact, else a bigint. */
export function exact(value: bigint): number | bigint {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value
}

/**
 * The value of a text. A text that does not match its type becomes undefined: MIDAS itself writes
 * `(TID_UNKNOWN value)` for 64-bit integers in some versions, `<NULL>` and `<unknown>` in others.
 */
export function valueOfText(type: number, text: string, build: OdbBuild): OdbScalar {
  if (type === TID.string || type === TID.link || type === TID.char) return text
  const trimmed = text.trim()
  if (INTEGERS.has(type)) return integerOfText(type, trimmed)
  if (type === TID.bool) return booleanOfText(trimmed)
  if (type === TID.float32 || type === TID.float64) return floatOfText(trimmed, build)
  return undefined
}

function integerOfText(type: number, text: string): number | bigint | undefined {
  if (HEXADECIMAL.test(text)) {
    const value = BigInt(text)
    return exact(type === TID.int64 ? BigInt.asIntN(64, value) : value)
  }
  return INTEGER.test(text) ? exact(BigInt(text.replace(/^\+/, ''))) : undefined
}

function booleanOfText(text: string): boolean | undefined {
  const lower = text.toLowerCase()
  if (lower === 'y' || lower === 'yes' || lower === 'true') return true
  if (lower === 'n' || lower === 'no' || lower === 'false') return false
  return INTEGER.test(text) ? Number(text) > 0 : undefined
}

/** C prints special values as nan, -nan, inf and -inf; MIDAS's JSON as "NaN", "Infinity" and "-Infinity". */
function floatOfText(text: string, build: OdbBuild): number | undefined {
  if (NUMBER.test(text)) return Number(text)
  if (/^[+-]?nan$/i.test(text)) return Number.NaN
  const infinite = /^([+-]?)inf(?:inity)?$/i.exec(text)
  if (infinite !== null) return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  const comma = COMMA_NUMBER.exec(text)
  if (comma === null) return HEXADECIMAL.test(text) ? Number(text) : undefined
  build.decimalCommas += 1
  return Number(`${comma[1]}.${comma[2]}`)
}

/** The value of a JSON value, by the type in its `/key` metadata. */
export function valueOfJson(type: number | null, json: OdbScalar, build: OdbBuild): OdbScalar {
  if (type === null || json === undefined) return json
  if (typeof json === 'string') return valueOfText(type, json, build)
  if (type === TID.bool) return typeof json === 'boolean' ? json : json > 0
  if (typeof json === 'boolean') return undefined
  if (INTEGERS.has(type)) return typeof json === 'bigint' || Number.isInteger(json) ? json : undefined
  return type === TID.float32 || type === TID.float64 ? Number(json) : undefined
}
