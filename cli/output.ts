/**
 * Output of the CLI: tables, sizes, times. Results go to standard output; progress, messages and errors go to
 * standard error.
 */
import { styleText } from 'node:util'
import { sizeText } from '../shared/text.ts'
import { timeText } from '../shared/time/text.ts'

type Cell = string | number | null | undefined

/** A table with aligned columns, numbers to the right. A missing value is printed as `-`. */
export function table(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const text = rows.map((row) => header.map((_, column) => cellText(row[column])))
  const numeric = header.map(
    (_, column) =>
      rows.length > 0 && rows.every((row) => row[column] == null || typeof row[column] === 'number'),
  )
  const widths = header.map((name, column) =>
    Math.max(name.length, ...text.map((row) => (row[column] ?? '').length)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        numeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [styleText('bold', line(header)), ...text.map(line)].join('\n')
}

const cellText = (cell: Cell) => (cell === null || cell === undefined ? '-' : String(cell))

/** One line for each name and value, the values aligned. */
export function list(entries: readonly (readonly [string, Cell])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length))
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${cellText(value)}`).join('\n')
}

export const bytes = (size: number | null): string => (size === null ? '-' : sizeText(size))

/** A duration in seconds as text: "240 ms", "3.2 s", "2 h 5 min". */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 120) return `${seconds.toFixed(1)} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** UTC, to the second. The API gives times as text. */
export const time = (at: Date | string | null) => (at === null ? '-' : timeText(new Date(at)))

export const print = (text: string) => process.stdout.write(`${text}\n`)
export const printJson = (value: unknown) => print(JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0))
export const printToStderr = (text: string) => process.stderr.write(`${text}\n`)
