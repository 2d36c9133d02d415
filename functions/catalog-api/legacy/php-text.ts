/**
 * Reproduces PHP's handling of query strings and values, for tools that were written against a PHP page.
 * Pure.
 */

/** A parameter as in `$_GET`: of a repeated name, the last value counts. */
export const lastOf = (query: URLSearchParams, name: string): string | null =>
  query.getAll(name).at(-1) ?? null

/** `if ($text)`: true for any text but an absent, empty or "0" one, so also for "0.0" and "false". */
export const isTruthy = (text: string | null): text is string => text !== null && text !== '' && text !== '0'

/** ASCII without escapes: almost all values. */
const PLAIN = /^[ !#-.0-[\]-~]*$/

/**
 * A value as `json_encode` without flags writes it: `/` escaped, non-ASCII characters as \uXXXX in lower-case
 * hex, those beyond the basic plane as two of them.
 */
export function jsonEncode(value: string | null): string {
  if (value === null) return 'null'
  if (PLAIN.test(value)) return `"${value}"`
  return JSON.stringify(value)
    .replaceAll('/', String.raw`\/`)
    .replaceAll(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Writes rows of texts and nulls as objects, with their columns in order. */
export function jsonRowEncoder(columns: readonly string[]): (row: readonly (string | null)[]) => string {
  const names = columns.map((column, at) => `${at === 0 ? '{' : ','}${jsonEncode(column)}:`)
  return (row) => `${names.map((name, at) => name + jsonEncode(row[at] ?? null)).join('')}}`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#039;',
}

/** `htmlspecialchars`; null is an empty text. */
export const htmlSpecialChars = (text: string | null): string =>
  (text ?? '').replaceAll(/[&<>"']/g, (each) => ENTITIES[each] ?? each)

/** Also `12000.0`, which Python writes for a number that passed through pandas. */
const INTEGER = /^ *([+-]?\d{1,18})(?:\.0*)? *$/

/**
 * The number of a parameter; null for anything but a whole number. The PHP page inserted the text into its
 * SQL, so that `12abc` caused a database error, and `1 OR 1=1` returned the whole table.
 */
export function parseInteger(text: string): number | null {
  const [, digits] = INTEGER.exec(text) ?? []
  return digits === undefined ? null : Number(digits)
}
