/** Parses an ODB dump, the body of a begin-of-run or end-of-run event, in any of MIDAS's dialects. */
import { InvalidInputError } from '../../errors.ts'
import type { Finding } from '../finding.ts'
import { damagedWarning, decimalCommaWarning, odbLimits, replacedTextWarning } from './builder.ts'
import { parseJsonOdb } from './json.ts'
import { parseTextOdb } from './text.ts'
import { type OdbDirectory, type OdbTree, odbTree } from './tree.ts'
import { parseXmlOdb } from './xml.ts'

export type { OdbTree } from './tree.ts'

type OdbDialect = 'json' | 'json-plain' | 'xml' | 'text'

export interface ParsedOdb {
  readonly tree: OdbTree
  readonly dialect: OdbDialect
  readonly warnings: readonly Finding[]
}

/**
 * Parses a dump of at most 16 MiB. Typical faults of real dumps (decimal commas, broken UTF-8, control
 * characters, trailing NULs) are corrected and reported in `warnings`. Of a dump that is cut or damaged, the
 * other keys are read.
 * @throws InvalidInputError with the error and its position, when it is in none of the dialects, exceeds a
 * limit, or not one key can be read.
 */
export function parseOdb(bytes: Uint8Array): ParsedOdb {
  if (bytes.length > odbLimits.sizeBytes)
    throw new InvalidInputError(
      `ODB dump: ${bytes.length} bytes; the most accepted is ${odbLimits.sizeBytes}`,
    )
  const { text, warning } = decode(trimEnd(bytes))
  const first = /\S/.exec(text)?.[0]
  const warnings = warning === null ? [] : [warning]
  if (first === undefined) throw new InvalidInputError('ODB dump: it is empty')
  const parsed = parseDialect(first, text)
  const { faults } = parsed.build
  const [fault] = faults
  if (fault !== undefined && !hasKey(parsed.root)) throw fault
  warnings.push(...damagedWarning(faults))
  if (parsed.build.decimalCommas > 0) warnings.push(decimalCommaWarning(parsed.build.decimalCommas))
  if (parsed.build.replacedTexts > 0) warnings.push(replacedTextWarning(parsed.build.replacedTexts))
  return { tree: odbTree(parsed.root, faults.length === 0), dialect: parsed.dialect, warnings }
}

function parseDialect(first: string, text: string) {
  if (first === '{') {
    const { root, raw, build } = parseJsonOdb(text)
    return { root, build, dialect: raw ? ('json' as const) : ('json-plain' as const) }
  }
  if (first === '<') return { ...parseXmlOdb(text), dialect: 'xml' as const }
  if (first === '[') return { ...parseTextOdb(text), dialect: 'text' as const }
  throw new InvalidInputError('ODB dump: neither JSON, XML nor the old text form of MIDAS')
}

const hasKey = ({ children }: OdbDirectory): boolean =>
  children.values().some((node) => node.kind === 'key' || hasKey(node))

/** XML and text dumps end with NULs, and some versions pad. */
function trimEnd(bytes: Uint8Array): Uint8Array {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end -= 1
  return bytes.subarray(0, end)
}

/**
 * Converts bytes to text. The ODB contains whatever bytes its programs wrote, nearly always UTF-8 (even where
 * the XML declares ISO-8859-1). An XML dump that is not UTF-8 is read as ISO-8859-1, as declared; elsewhere
 * invalid bytes are dropped.
 */
function decode(bytes: Uint8Array): { text: string; warning: Finding | null } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), warning: null }
  } catch {
    if (bytes[0] === 0x3c) return { text: new TextDecoder('latin1').decode(bytes), warning: null }
    const text = new TextDecoder('utf-8').decode(bytes)
    const kept = text.replaceAll('\ufffd', '')
    const message = `the ODB dump is not valid UTF-8: ${text.length - kept.length} places dropped`
    return { text: kept, warning: { code: 'odb-invalid-utf8', message, offset: null } }
  }
}
