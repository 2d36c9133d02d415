/** The possible columns of the table of runs: those of every run, and each parameter of the Runlog. */
import { html } from 'hono/html'
import type { Run } from '../../../shared/database/schema.ts'
import { shownColumns } from '../../../shared/queries/shown-parameters.ts'
import { shortened } from '../../../shared/text.ts'
import { bytes, count, duration, parameter } from './format.ts'
import { type Column, type Html, mark, timeOf } from './parts.ts'
import { cloudMark, runMark, tapeMark } from './run-marks.ts'

/** The default columns come first, in their order. */
const NAMED: Readonly<Record<string, Column<Run> & { readonly head: string }>> = {
  start: { head: 'Started', cell: (run) => timeOf(run.startedAt) },
  state: { head: 'State', cell: (run) => runMark(run) },
  tape: { head: 'Tape', cell: ({ tape }) => tapeMark(tape) },
  cloud: { head: 'Store', cell: ({ cloud }) => cloudMark(cloud) },
  events: { head: 'MIDAS events', numeric: true, cell: (run) => count(run.eventCount) },
  size: { head: 'Size', numeric: true, cell: (run) => bytes(run.sizeBytes) },
  pedestal: {
    head: 'Pedestal',
    cell: (run) => (run.pedestal === true ? 'yes' : run.pedestal === false ? 'no' : '–'),
  },
  description: { head: 'Description', prose: true, cell: (run) => sentence(run.description) },
  stop: { head: 'Stopped', cell: (run) => timeOf(run.stoppedAt) },
  length: {
    head: 'Length',
    numeric: true,
    cell: (run) =>
      run.startedAt === null || run.stoppedAt === null ? '–' : duration(run.startedAt, run.stoppedAt),
  },
  files: { head: 'Files', numeric: true, cell: (run) => run.fileCount },
  local: { head: 'DAQ disk', cell: ({ local }) => local ?? '–' },
  checksums: {
    head: 'Checksums',
    cell: (run) => (run.integrity === 'mismatch' ? mark('bad', 'mismatch') : run.integrity),
  },
  problem: { head: 'Problem', prose: true, cell: (run) => sentence(run.problem) },
  catalogued: { head: 'Catalogued', cell: (run) => timeOf(run.cataloguedAt) },
}

/** Keeps a table of a hundred rows small: the page of the run has the full text. */
const MOST_CHARACTERS = 160

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

/** The heading of a column. */
export const headOf = (name: string): string => NAMED[name]?.head ?? name

export function columnOf(name: string): Column<Run> {
  const named = NAMED[name]
  if (named !== undefined) return named
  return {
    head: name,
    numeric: !/^(TEXT|VARCHAR|DATETIME)/.test(
      PARAMETERS.find((column) => column.name === name)?.sqlType ?? '',
    ),
    cell: (run) => shortened(parameter(run.parameters[name] ?? null), MOST_CHARACTERS),
  }
}
