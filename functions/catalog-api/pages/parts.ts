/** Building blocks of the pages. `html` escapes every value; `raw` is never used for data from outside. */
import { html, raw } from 'hono/html'
import type { RunId } from '../../../shared/run.ts'
import { timeText } from '../../../shared/time/text.ts'
import { age } from './format.ts'

export type Html = ReturnType<typeof html>
/** What the text of a page may contain. */
export type Content = Html | string | number | null

export const NOTHING: Html = html``

/** The status of something. Each has a shape in addition to its colour. */
export type Tone = 'good' | 'moving' | 'waiting' | 'bad' | 'none'

const SHAPES: Readonly<Record<Tone, string>> = { good: '●', moving: '◐', waiting: '○', bad: '▲', none: '–' }

/** A shape and a word. */
export const mark = (tone: Tone, text: string): Html =>
  html`<span class="mark ${tone}"><span class="shape" aria-hidden="true">${SHAPES[tone]}</span>${text}</span>`

/** A time in UTC, machine-readable. */
export function timeOf(at: Date | null): Html {
  if (at === null) return html`–`
  const [day, clock] = timeText(at).split(' ')
  // On a narrow page a line may break only between date and time.
  return html`<time datetime="${at.toISOString()}"><span>${day}</span> <span>${clock}</span></time>`
}

/** An age, kept up to date by a script. */
export const ageOf = (at: Date, now: Date): Html =>
  html`<time datetime="${at.toISOString()}" title="${timeText(at)} UTC" data-age>${age(at, now)}</time>`

export interface Column<Row> {
  readonly head: Content
  readonly cell: (row: Row) => Content
  /** Right-aligned, for numbers. */
  readonly numeric?: boolean
  /** For sentences, which need some width. */
  readonly prose?: boolean
  /** Omitted on narrow pages. */
  readonly roomy?: boolean
  /** Place of the cell where rows are cards, on a phone: see runs.css. */
  readonly card?: number
  /** Before the cell on a card, which has no heads of columns. */
  readonly cardHead?: string
  /** The cell is the header of its row. */
  readonly heads?: boolean
  readonly sort?: 'ascending' | 'descending' | undefined
}

/** A table in a frame that scrolls where the page is narrower. */
export function table<Row>(options: {
  readonly id: string
  readonly caption: Content
  readonly captionHidden?: boolean
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  readonly empty: string
}): Html {
  const { id, caption, captionHidden = false, columns, rows, empty } = options
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`
  return html`<div class="frame" role="region" aria-labelledby="${id}" tabindex="0"><table>
<caption id="${id}"${captionHidden ? html` class="unseen"` : ''}>${caption}</caption>
<thead><tr>${columns.map(headCell)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${columns.map((column) => cellOf(column, row))}</tr>\n`)}</tbody>
</table></div>`
}

const headCell = <Row>(column: Column<Row>): Html =>
  html`<th scope="col"${classOf(column)}${column.sort === undefined ? '' : html` aria-sort="${column.sort}"`}>${column.head}</th>`

const cellOf = <Row>(column: Column<Row>, row: Row): Html =>
  column.heads === true
    ? html`<th scope="row"${classOf(column)}>${column.cell(row)}</th>`
    : html`<td${classOf(column)}${column.cardHead === undefined ? '' : html` data-head="${column.cardHead}"`}>${column.cell(row)}</td>`

function classOf<Row>({ numeric, prose, roomy, card }: Column<Row>): Html {
  const classes = [
    ...(numeric === true ? ['number'] : []),
    ...(prose === true ? ['prose'] : []),
    ...(roomy === true ? ['roomy'] : []),
    ...(card === undefined ? [] : [`card-${card}`]),
  ]
  return classes.length === 0 ? NOTHING : html` class="${classes.join(' ')}"`
}

/** Names and values; pairs without a value are omitted. */
export const facts = (pairs: readonly (readonly [string, Content])[]): Html =>
  html`<dl class="facts">${pairs.map(([name, value]) => (value === null ? '' : html`<div><dt>${name}</dt><dd>${value}</dd></div>`))}</dl>`

/** Text with a copy button (with a script); without one it can be selected. */
export const copyable = (id: string, label: Content, text: string): Html =>
  html`<div class="copyable"><p id="${id}-label">${label}</p><pre id="${id}" tabindex="0" role="region" aria-labelledby="${id}-label">${text}</pre><button type="button" data-copy="${id}">Copy</button></div>`

/** Shows `code` between backticks as such. */
export const withCode = (text: string): readonly Content[] =>
  text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))

/** Data for a script; browsers do not execute it. */
export const dataBlock = (id: string, value: unknown): Html =>
  html`<script type="application/json" id="${id}">${raw(JSON.stringify(value).replaceAll('<', '\\u003c'))}</script>`

export const runPath = (run: RunId): string => `/runs/${encodeURIComponent(run.tag)}/${run.runNumber}`
