/** Tables as CSV (RFC 4180), which a spreadsheet may open without running what stands in them. */

type Cell = string | number | boolean | null

/**
 * What a spreadsheet takes for a formula, also after blanks and in the wide forms of East Asian keyboards. A
 * tab or a line break may begin one as well.
 */
const FORMULA = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/

const NEEDS_QUOTES = /[",\r\n]|^\s|\s$/

/**
 * One line with its end. Text that looks like a formula gets an apostrophe before it; numbers and null
 * (nothing) stay as they are.
 */
export const csvLine = (cells: readonly Cell[]): string => `${cells.map(cellText).join(',')}\r\n`

function cellText(cell: Cell): string {
  if (typeof cell !== 'string') return cell === null ? '' : String(cell)
  const safe = FORMULA.test(cell) ? `'${cell}` : cell
  return NEEDS_QUOTES.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
