/** Writes an ODB dump as MIDAS's logger does, in each of its dialects, for the simulator and for tests. */
import { TID, tidInfo } from '../tid.ts'
import type { OdbDirectory, OdbKey, OdbScalar } from './tree.ts'

export interface SerializeOptions {
  /** Unix seconds written as `last_written` of every key (JSON only). */
  readonly lastWritten?: number
  /** Print decimals with a comma, as the logger does in an Italian locale. */
  readonly decimalCommas?: boolean
}

export type SerializeDialect = 'json' | 'json-plain' | 'xml' | 'text'

/** The dump as the bytes of an event body; XML and text end with a NUL, JSON does not. */
export function serializeOdb(
  root: OdbDirectory,
  dialect: SerializeDialect,
  options: SerializeOptions = {},
): Uint8Array {
  return new TextEncoder().encode(serializers[dialect](root, options))
}

const serializers: Readonly<
  Record<SerializeDialect, (root: OdbDirectory, options: SerializeOptions) => string>
> = {
  json: (root, options) => jsonDirectory(root, options, '', true),
  'json-plain': (root, options) => jsonDirectory(root, options, '', false),
  xml: (root, options) => {
    const lines = [
      '<?xml version="1.0" encoding="ISO-8859-1"?>',
      '<!-- created by MXML -->',
      '<odb root="/" filename="">',
    ]
    xmlDirectory(root, options, ' ', lines)
    return `${lines.join('\n')}\n</odb>\n\0`
  },
  text: (root, options) => {
    const lines: string[] = []
    textDirectory(root, options, '', lines)
    return `${lines.join('\n')}\n\0`
  },
}

const elements = (key: OdbKey): readonly OdbScalar[] | null => (Array.isArray(key.value) ? key.value : null)

// ---- JSON

function jsonDirectory(
  directory: OdbDirectory,
  options: SerializeOptions,
  indent: string,
  metadata: boolean,
): string {
  const inner = `${indent}  `
  const members = [...directory.children.values()].flatMap((node) => {
    if (node.kind === 'directory')
      return `${inner}${JSON.stringify(node.name)} : ${jsonDirectory(node, options, inner, metadata)}`
    const values = elements(node)
    const value =
      values === null
        ? jsonValue(node.type, node.value as OdbScalar, options)
        : `[ ${values.map((item) => jsonValue(node.type, item, options)).join(', ')} ]`
    const own = `${inner}${JSON.stringify(node.name)} : ${value}`
    return metadata && node.type !== null
      ? [`${inner}${JSON.stringify(`${node.name}/key`)} : ${jsonMetadata(node, options)}`, own]
      : own
  })
  return members.length === 0 ? `{\n${indent}}` : `{\n${members.join(',\n')}\n${indent}}`
}

function jsonMetadata(key: OdbKey, options: SerializeOptions): string {
  const fields: string[] = [`"type" : ${key.type}`]
  const values = elements(key)
  if (key.link !== null) fields.push(`"link" : ${JSON.stringify(key.link)}`)
  if (values !== null && values.length > 1) fields.push(`"num_values" : ${values.length}`)
  if (key.itemSize !== null) fields.push(`"item_size" : ${key.itemSize}`)
  fields.push('"access_mode" : 7', `"last_written" : ${options.lastWritten ?? 0}`)
  return `{ ${fields.join(', ')} }`
}

/**
 * Unsigned integers are hexadecimal strings, whole floats are printed as integers, others with 7 or 16
 * digits.
 */
function jsonValue(type: number | null, value: OdbScalar, options: SerializeOptions): string {
  if (value === undefined) return '"(TID_UNKNOWN value)"'
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'boolean') return String(value)
  const hexDigits = type === null ? undefined : HEX_DIGITS.get(type)
  if (hexDigits !== undefined)
    return `"0x${BigInt.asUintN(hexDigits * 4, BigInt(value))
      .toString(16)
      .padStart(hexDigits, '0')}"`
  if (typeof value === 'bigint') return String(value)
  if (Number.isNaN(value)) return '"NaN"'
  if (!Number.isFinite(value)) return value > 0 ? '"Infinity"' : '"-Infinity"'
  if (type === TID.float32 || type === TID.float64) {
    if (Number.isInteger(value)) return BigInt(value).toString()
    return withComma(cExponent(value.toExponential(type === TID.float32 ? 7 : 16)), options)
  }
  return String(value)
}

const HEX_DIGITS: ReadonlyMap<number, number> = new Map([
  [TID.uint8, 2],
  [TID.uint16, 4],
  [TID.uint32, 8],
  [TID.bitfield, 8],
  [TID.int64, 16],
  [TID.uint64, 16],
])

/** C prints at least two digits of exponent. */
function cExponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

function withComma(text: string, options: SerializeOptions): string {
  return options.decimalCommas === true ? text.replace('.', ',') : text
}

// ---- XML and text

/** `y` and `n` for booleans, decimal integers, the shortest exact form of a float. */
function plainValue(type: number | null, value: OdbScalar, options: SerializeOptions): string {
  if (value === undefined) return '<unknown>'
  if (typeof value === 'boolean') return value ? 'y' : 'n'
  if (typeof value === 'string' || typeof value === 'bigint') return String(value)
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  return withComma(cExponent(String(type === TID.float32 ? Number(value.toPrecision(9)) : value)), options)
}

function typeName(key: OdbKey): string {
  return tidInfo(key.type ?? 0)?.name ?? 'STRING'
}

const escapeXml = (text: string) =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;')

function xmlDirectory(
  directory: OdbDirectory,
  options: SerializeOptions,
  indent: string,
  lines: string[],
): void {
  for (const node of directory.children.values()) {
    const name = escapeXml(node.name)
    if (node.kind === 'directory') {
      lines.push(`${indent}<dir name="${name}">`)
      xmlDirectory(node, options, `${indent} `, lines)
      lines.push(`${indent}</dir>`)
      continue
    }
    const size = node.itemSize === null ? '' : ` size="${node.itemSize}"`
    const values = elements(node)
    const text = (value: OdbScalar) => escapeXml(plainValue(node.type, value, options))
    if (values === null)
      lines.push(
        `${indent}<key name="${name}" type="${typeName(node)}"${size}>${text(node.value as OdbScalar)}</key>`,
      )
    else {
      lines.push(
        `${indent}<keyarray name="${name}" type="${typeName(node)}"${size} num_values="${values.length}">`,
      )
      for (const [index, value] of values.entries())
        lines.push(`${indent} <value index="${index}">${text(value)}</value>`)
      lines.push(`${indent}</keyarray>`)
    }
  }
}

/**
 * A section for each directory with keys of its own, followed by its sub-directories with their full paths.
 */
function textDirectory(
  directory: OdbDirectory,
  options: SerializeOptions,
  path: string,
  lines: string[],
): void {
  const keys = [...directory.children.values()].filter((node) => node.kind === 'key')
  if (keys.length > 0) {
    lines.push(`[${path === '' ? '.' : path}]`)
    for (const key of keys) lines.push(...textKey(key, options))
    lines.push('')
  }
  for (const node of directory.children.values())
    if (node.kind === 'directory') textDirectory(node, options, `${path}/${node.name}`, lines)
}

function textKey(key: OdbKey, options: SerializeOptions): readonly string[] {
  const type = typeName(key)
  const isText = key.type === TID.string || key.type === TID.link
  const room = `[${key.itemSize ?? 256}]`
  const values = elements(key)
  if (values !== null)
    return [
      `${key.name} = ${type}[${values.length}] :`,
      ...values.map(
        (value, index) => `${isText ? room : `[${index}]`} ${plainValue(key.type, value, options)}`,
      ),
    ]
  const text = plainValue(key.type, key.value as OdbScalar, options)
  if (isText && text.includes('\n'))
    return [`${key.name} = ${type} : [====#$@$#====]`, ...text.split('\n'), '====#$@$#====']
  return [`${key.name} = ${type} : ${isText ? `${room} ` : ''}${text}`]
}
