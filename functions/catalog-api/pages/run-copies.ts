/** Where a run is and was: every copy of its files with the times of its life. */
import { html } from 'hono/html'
import type { RunDetails } from '../../../shared/catalogue/queries.ts'
import type { Replica } from '../../../shared/catalogue/replica-schema.ts'
import { bytes } from './format.ts'
import { type Html, mark, table, timeOf } from './parts.ts'
import { replicaTone } from './run-marks.ts'

const KINDS = { local: 'DAQ disk', cloud: 'store', tape: 'tape', recall: 'back from tape' } as const

export const copiesSection = ({ replicas }: RunDetails): Html => html`<section aria-labelledby="copies"><h2 id="copies">Copies</h2>
${table<Replica>({
  id: 'copy-table',
  caption: 'Copies and their times',
  captionHidden: true,
  rows: replicas,
  empty: 'No copy is known.',
  columns: [
    { head: 'Where', heads: true, cell: ({ kind }) => KINDS[kind] },
    { head: 'State', cell: ({ state }) => mark(replicaTone(state), state) },
    { head: 'Life (UTC)', cell: timeline },
    { head: 'Size', numeric: true, cell: ({ size_bytes: size }) => bytes(size) },
    { head: 'Address', cell: ({ url }) => html`<code class="address">${url}</code>` },
    { head: 'Verified by', prose: true, cell: ({ verified_by: by }) => by ?? '–' },
    {
      head: 'Last error',
      prose: true,
      cell: ({ last_error: error, attempts }) => (error === null ? '–' : `${error} (attempt ${attempts})`),
    },
  ],
})}</section>`

/** What happened to the copy, in the order of time. */
function timeline(replica: Replica): Html {
  const steps = [
    ['asked for', replica.requested_at],
    ['begun', replica.started_at],
    ['stored', replica.stored_at],
    ['verified', replica.verified_at],
    ['deleted', replica.deleted_at],
    ['stays until', replica.expires_at],
    ['tried again', replica.next_attempt_at],
  ] as const
  const known = steps.flatMap(([what, at]) => (at === null ? [] : [{ what, at }])).toSorted((a, b) => a.at.getTime() - b.at.getTime())
  return html`<ol class="timeline">${known.map(({ what, at }) => html`<li>${timeOf(at)} ${what}</li>`)}</ol>`
}
