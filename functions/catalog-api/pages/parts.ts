/** Building blocks of the pages. `html` escapes every value. */
import { html } from 'hono/html'
import { labelOf } from '../../../shared/queries/parameter-labels.ts'
import type { RunId } from '../../../shared/run.ts'
import { timeText } from '../../../shared/time/text.ts'
import { age } from './format.ts'

export type Html = ReturnType<typeof html>
/** What the text of a page may contain. */
export type Content = Html | string | number | null

export const NOTHING: Html = html``

/** The status of something. Each has a shape in addition to its colour. */
export type Tone = 'good' | 'moving' | 'waiting' | 'bad' | 'old' | 'none'

/** `old`: it was good when it was last checked, which is long ago, or nobody has checked it. */
const SHAPES: Readonly<Record<Tone, string>> = {
  good: '●',
  moving: '◐',
  waiting: '○',
  bad: '▲',
  old: '◌',
  none: '–',
}

/** A shape and a word. */
export const mark = (tone: Tone, text: string | Html): Html =>
  html`<span class="mark ${tone}"><span class="shape" aria-hidden="true">${SHAPES[tone]}</span>${text}</span>`

/** A time with its zone, machine-readable. */
export function timeOf(at: Date | null): Html {
  if (at === null) return html`–`
  const [day, clock] = timeText(at).split(' ')
  // On a narrow page a line may break only between date and time.
  return html`<time datetime="${at.toISOString()}"><span>${day}</span> <span>${clock}&nbsp;UTC</span></time>`
}

/** An age, kept up to date by a script. */
export const ageOf = (at: Date, now: Date): Html =>
  html`<time datetime="${at.toISOString()}" title="${timeText(at)} UTC" data-age>${age(at, now)}</time>`

/** The age first, then the time; `in 4 min` for a time to come. */
export const whenOf = (at: Date, now: Date): Html =>
  html`${agoOf(at, now)} <span class="quiet at">${timeOf(at)}</span>`

/** `12 min ago`, or `in 12 min`. */
export const agoOf = (at: Date, now: Date): Html =>
  at > now
    ? html`in <time datetime="${at.toISOString()}" title="${timeText(at)} UTC">${age(now, at)}</time>`
    : html`${ageOf(at, now)} ago`

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
  readonly empty: Content
  /** On a narrow page each row is a card: every cell on a line of its own, with the head of its column. */
  readonly cards?: boolean
}): Html {
  const { id, caption, captionHidden = false, columns, rows, empty, cards = false } = options
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`
  return html`<div class="frame${cards ? ' cards' : ''}" role="region" aria-labelledby="${id}" tabindex="0"><table${cards ? ROLES.table : ''}>
<caption id="${id}"${captionHidden ? html` class="unseen"` : ''}>${caption}</caption>
<thead><tr>${columns.map(headCell)}</tr></thead>
<tbody${cards ? ROLES.rowgroup : ''}>${rows.map((row) => html`<tr${cards ? ROLES.row : ''}>${columns.map((column) => cellOf(column, row, cards))}</tr>\n`)}</tbody>
</table></div>`
}

const headCell = <Row>(column: Column<Row>): Html =>
  html`<th scope="col"${classOf(column)}${column.sort === undefined ? '' : html` aria-sort="${column.sort}"`}>${column.head}</th>`

/** A table that is shown as cards is still announced as a table. */
const ROLES = {
  table: html` role="table"`,
  rowgroup: html` role="rowgroup"`,
  row: html` role="row"`,
  rowheader: html` role="rowheader"`,
  cell: html` role="cell"`,
} as const

function cellOf<Row>(column: Column<Row>, row: Row, cards: boolean): Html {
  const value = column.cell(row)
  if (column.heads === true)
    return html`<th scope="row"${classOf(column)}${cards ? ROLES.rowheader : ''}>${value}</th>`
  if (!cards)
    return html`<td${classOf(column)}${column.cardHead === undefined ? '' : html` data-head="${column.cardHead}"`}>${value}</td>`
  const head = typeof column.head === 'string' ? html` data-head="${column.head}"` : NOTHING
  return html`<td${classOf(column, value === '–')}${ROLES.cell}${head}>${value}</td>`
}

/** @param isNil nothing is in the cell: a card leaves it out. */
function classOf<Row>({ numeric, prose, roomy, card }: Column<Row>, isNil = false): Html {
  const classes = [
    ...(numeric === true ? ['number'] : []),
    ...(prose === true ? ['prose'] : []),
    ...(roomy === true ? ['roomy'] : []),
    ...(card === undefined ? [] : [`card-${card}`]),
    ...(isNil ? ['nil'] : []),
  ]
  return classes.length === 0 ? NOTHING : html` class="${classes.join(' ')}"`
}

/** Names and values; pairs without a value are omitted. */
export const facts = (pairs: readonly (readonly [string, Content])[]): Html =>
  html`<dl class="facts">${pairs.map(([name, value]) => (value === null ? '' : html`<div><dt>${name}</dt><dd>${value}</dd></div>`))}</dl>`

/** Details below a summary, which stay open when the page is renewed (live.js finds them by their id). */
export const fold = (id: string, summary: Content, body: Content, isOpen = false): Html =>
  html`<details class="fold" id="${id}"${isOpen ? ' open' : ''}><summary>${summary}</summary>
${body}</details>`

/** A run parameter by its label; the name of its column is the hint. */
export const parameterName = (name: string): Html => {
  const { label } = labelOf(name)
  return label === name ? html`${name}` : html`<abbr title="${name}">${label}</abbr>`
}

/** Text with a copy button (with a script); without one it can be selected. */
export const copyable = (id: string, label: Content, text: string): Html =>
  html`<div class="copyable"><p id="${id}-label">${label}</p><pre id="${id}" tabindex="0" role="region" aria-labelledby="${id}-label">${text}</pre><button type="button" data-copy="${id}">Copy</button></div>`

/** Shows `code` between backticks as such. */
export const withCode = (text: string): readonly Content[] =>
  text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))

export const runPath = (run: RunId): string => `/runs/${encodeURIComponent(run.tag)}/${run.runNumber}`
