/** Events and banks of a run, summed over its files. */
import { html } from 'hono/html'
import { EVENT_TRIGGER } from '../../../shared/midas/format.ts'
import type { RunDetails } from '../../../shared/queries/runs.ts'
import { bytes, count, counted } from './format.ts'
import { fold, type Html, mark, NOTHING, table } from './parts.ts'

/** The equipment of each event id. */
const EQUIPMENT: Readonly<Record<number, string>> = {
  [EVENT_TRIGGER]: 'Trigger',
  3: 'HV',
  4: 'CATHODE',
  5: 'Environment',
  6: 'GasSystem',
  7: 'CameraStatus',
  8: 'TriggerModule',
  9: 'SourceMotor',
}

/** Folded: for whoever looks for a bank, or for events that are missing. */
export function statisticsSection({ run, events, banks }: RunDetails): Html {
  if (events.length === 0 && banks.length === 0) return NOTHING
  const missing = events.reduce((sum, row) => sum + row.serialGaps, 0)
  const summary = html`MIDAS events and banks (${events.length} event ids, ${counted(banks.length, 'bank')})${missing === 0 ? NOTHING : html` ${mark('bad', `${count(missing)} missing`)}`}`
  return fold(
    'statistics',
    summary,
    html`<p class="quiet">A trigger is one event of the physicists: the camera frame with its digitizers. The other event ids are slow control. Begin-of-run and end-of-run are not counted in the ${count(run.eventCount)}.</p>
<div class="halves">
${table<RunDetails['events'][number]>({
  id: 'events',
  caption: 'MIDAS events by id',
  rows: events,
  empty: 'No event was read.',
  columns: [
    { head: 'Id', heads: true, numeric: true, cell: (row) => row.eventId },
    { head: 'Equipment', cell: (row) => EQUIPMENT[row.eventId] ?? '–' },
    { head: 'Events', numeric: true, cell: (row) => count(row.events) },
    {
      head: 'Missing',
      numeric: true,
      cell: (row) => (row.serialGaps === 0 ? '0' : mark('bad', count(row.serialGaps))),
    },
  ],
})}
${table<RunDetails['banks'][number]>({
  id: 'banks',
  caption: 'Banks',
  rows: banks,
  empty: 'No bank was read.',
  columns: [
    { head: 'Bank', heads: true, cell: (row) => html`<code>${row.bank}</code>` },
    { head: 'Count', numeric: true, cell: (row) => count(row.count) },
    { head: 'Size', numeric: true, cell: (row) => bytes(row.bytes) },
    { head: 'Each', numeric: true, cell: (row) => (row.count === 0 ? '–' : bytes(row.bytes / row.count)) },
  ],
})}
</div>`,
  )
}
