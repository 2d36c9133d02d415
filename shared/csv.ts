/** Tables as CSV (RFC 4180) that a spreadsheet can open without executing their contents. */

type Cell = string | number | boolean | null

/**
 * Text that a spreadsheet reads as a formula, also after blanks and with the full-width characters of East
 * Asian keyboards. A formula may also begin after a tab or a line break.
 */
const FORMULA = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/

const NEEDS_QUOTES = /[",\r\n]|^\s|\s$/

/**
 * One line with its line end. Text that looks like a formula is prefixed with an apostrophe; numbers and null
 * (empty) are unchanged.
 */
export const csvLine = (cells: readonly Cell[]): string => `${cells.map(cellText).join(',')}\r\n`

function cellText(cell: Cell): string {
  if (typeof cell !== 'string') return cell === null ? '' : String(cell)
  const safe = FORMULA.test(cell) ? `'${cell}` : cell
  return NEEDS_QUOTES.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
