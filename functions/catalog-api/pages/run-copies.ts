/** Copies: every present and former copy of a run's files. The history has the times. */
import { html } from 'hono/html'
import type { ShownCopy } from '../../../shared/database/replica-schema.ts'
import type { RunDetails } from '../../../shared/queries/runs.ts'
import { isFailingCopy } from '../../../shared/queries/site-state.ts'
import { bytes } from './format.ts'
import { type Html, mark, NOTHING, table, timeOf } from './parts.ts'
import { PLACES, replicaTone } from './run-marks.ts'

export const copiesSection = ({
  replicas,
}: RunDetails): Html => html`<section aria-labelledby="copies"><h2 id="copies">Copies</h2>
${table<ShownCopy>({
  id: 'copy-table',
  caption: 'Copies',
  captionHidden: true,
  rows: replicas,
  empty: 'No copy is known.',
  columns: [
    { head: 'Where', heads: true, cell: ({ kind }) => PLACES[kind] },
    { head: 'State', prose: replicas.some((replica) => replica.lastError !== null), cell: stateOf },
    {
      head: 'Verified (UTC)',
      cell: ({ verifiedAt: at, verifiedBy: by, verifiedEvidence: evidence, doubtedEvidence: doubt }) =>
        html`${timeOf(at)}${by === null ? NOTHING : html`<br>${evidence}: ${by}`}${doubt === null ? NOTHING : html`<br><span class="problem">contradicted by: ${doubt}</span>`}`,
    },
    { head: 'Size', numeric: true, roomy: true, cell: ({ sizeBytes: size }) => bytes(size) },
    { head: 'Address', cell: ({ url }) => html`<code class="address">${url}</code>` },
  ],
})}</section>`

/** The state with the last error and the next attempt. */
function stateOf(replica: ShownCopy): Html {
  const { state, lastError: error, attempts, expiresAt: until, nextAttemptAt: next } = replica
  const tone = isFailingCopy(replica) ? 'bad' : replicaTone(state)
  return html`${mark(tone, state)}${error === null ? NOTHING : html`<br><span class="${tone === 'bad' ? 'problem' : 'quiet'}">${error} (attempt ${attempts})</span>`}${until === null ? NOTHING : html`<br>stays until ${timeOf(until)}`}${next === null ? NOTHING : html`<br>tried again ${timeOf(next)}`}`
}
