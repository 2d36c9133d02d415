/** The possible columns of the table of runs: those of every run, and each parameter of the Runlog. */
import { html } from 'hono/html'
import type { Run } from '../../../shared/database/schema.ts'
import { isYesOrNo, labelOf } from '../../../shared/queries/parameter-labels.ts'
import { shownColumns } from '../../../shared/queries/shown-parameters.ts'
import type { Period, RunVerified } from '../../../shared/queries/verified-now.ts'
import { shortened } from '../../../shared/text.ts'
import { timeText } from '../../../shared/time/text.ts'
import { count, parameter } from './format.ts'
import { type Column, type Html, mark } from './parts.ts'
import { cloudMark, runMark, tapeMark } from './run-marks.ts'

/** A run in the table, with what is known of its copies. */
export interface ListedRun extends Run {
  readonly verified: RunVerified
  readonly period: Period
}

/** The default columns come first, in their order. */
const NAMED: Readonly<Record<string, Column<ListedRun> & { readonly head: string }>> = {
  start: { head: 'Started (UTC)', cell: (run) => timeIn(run.startedAt) },
  state: { head: 'State', cell: (run) => runMark(run, run.verified, run.period) },
  tape: { head: 'Tape', cell: ({ tape, verified, period }) => tapeMark(tape, verified, period) },
  cloud: { head: 'Store', cell: ({ cloud, verified, period }) => cloudMark(cloud, verified, period) },
  events: { head: 'MIDAS events', numeric: true, cell: (run) => count(run.eventCount) },
  size: { head: 'Size (MB)', numeric: true, cell: (run) => megabytes(run.sizeBytes) },
  pedestal: {
    head: 'Pedestal',
    cell: (run) => (run.pedestal === true ? 'yes' : run.pedestal === false ? 'no' : '–'),
  },
  description: { head: 'Description', prose: true, cell: (run) => sentence(run.description) },
  stop: { head: 'Stopped (UTC)', cell: (run) => timeIn(run.stoppedAt) },
  length: {
    head: 'Length (s)',
    numeric: true,
    cell: (run) =>
      run.startedAt === null || run.stoppedAt === null ? '–' : seconds(run.startedAt, run.stoppedAt),
  },
  files: { head: 'Files', numeric: true, cell: (run) => run.fileCount },
  local: { head: 'DAQ disk', cell: ({ local }) => local ?? '–' },
  checksums: {
    head: 'Checksums',
    cell: (run) => (run.integrity === 'mismatch' ? mark('bad', 'mismatch') : run.integrity),
  },
  problem: { head: 'Problem', prose: true, cell: (run) => sentence(run.problem) },
  catalogued: { head: 'Catalogued (UTC)', cell: (run) => timeIn(run.cataloguedAt) },
}

/** The zone is in the head of the column. */
function timeIn(at: Date | null): Html {
  if (at === null) return html`–`
  const [day, clock] = timeText(at).split(' ')
  return html`<time datetime="${at.toISOString()}">${day} <span>${clock}</span></time>`
}

const BYTES_PER_MB = 1e6

/** `1 234.5`: one unit and as many digits in every row, so that sizes can be compared. */
function megabytes(sizeBytes: number): string {
  const [whole = '', tenths = ''] = (sizeBytes / BYTES_PER_MB).toFixed(1).split('.')
  return `${count(Number(whole))}.${tenths}`
}

const seconds = (from: Date, to: Date): string =>
  count(Math.max(0, Math.round((to.getTime() - from.getTime()) / 1000)))

/** Keeps a table of a hundred rows small: the page of the run has the full text. */
const MOST_CHARACTERS = 100

/** On one line as far as there is room. */
const sentence = (text: string | null): Html =>
  html`<span class="cut">${text === null ? '–' : shortened(text, MOST_CHARACTERS)}</span>`

/** Parameters without a column of their own. */
const PARAMETERS = shownColumns.filter(({ name }) => !/^(run_|start_time|stop_time|pedestal_run)/.test(name))

export const COLUMN_NAMES = [...Object.keys(NAMED), ...PARAMETERS.map(({ name }) => name)]
export const DEFAULT_COLUMNS = [
  'start',
  'state',
  'tape',
  'cloud',
  'events',
  'size',
  'pedestal',
  'description',
] as const

/** The heading of a column: a parameter by its label, with its unit. */
export function headOf(name: string): string {
  const { label, unit } = labelOf(name)
  return NAMED[name]?.head ?? (unit === '' ? label : `${label} (${unit})`)
}

export function columnOf(name: string): Column<ListedRun> {
  const named = NAMED[name]
  if (named !== undefined) return named
  const head = headOf(name)
  return {
    head: head === name ? name : html`<abbr title="${name}">${head}</abbr>`,
    numeric: !/^(TEXT|VARCHAR|DATETIME|BOOLEAN)/.test(
      PARAMETERS.find((column) => column.name === name)?.sqlType ?? '',
    ),
    cell: (run) => shortened(shownValue(name, run.parameters[name] ?? null), MOST_CHARACTERS),
  }
}

const shownValue = (name: string, value: number | string | null): string =>
  isYesOrNo(name) && (value === 0 || value === 1) ? (value === 1 ? 'yes' : 'no') : parameter(value)
