/** What happened to a run: told by the catalogue, asked of other functions, and logged by them. */
import { html } from 'hono/html'
import type { RunDetails } from '../../../shared/catalogue/queries.ts'
import { type Html, mark, table, timeOf } from './parts.ts'
import type { LogLine } from './run-logs.ts'

export const historySection = ({
  history,
  requests,
}: RunDetails): Html => html`<section aria-labelledby="history"><h2 id="history">History</h2>
${table<RunDetails['history'][number]>({
  id: 'history-table',
  caption: 'What happened',
  rows: history,
  empty: 'Nothing is noted.',
  columns: [
    { head: 'At (UTC)', cell: ({ at }) => timeOf(at) },
    { head: 'What', heads: true, cell: ({ what }) => what },
    { head: 'Detail', prose: true, cell: ({ detail }) => detail },
  ],
})}
${table<RunDetails['requests'][number]>({
  id: 'request-table',
  caption: 'What was asked of other functions',
  rows: requests,
  empty: 'Nothing was asked of other functions.',
  columns: [
    { head: 'Made (UTC)', cell: ({ createdAt }) => timeOf(createdAt) },
    { head: 'Queue', heads: true, cell: ({ queue }) => queue },
    { head: 'Sent (UTC)', cell: ({ sentAt }) => (sentAt === null ? mark('waiting', 'not yet') : timeOf(sentAt)) },
    { head: 'Name', cell: ({ name }) => html`<code class="address">${name}</code>` },
  ],
})}</section>`

/** @param lines null where the functions do not log into files beside us. */
export function logSection(lines: readonly LogLine[] | null, run: { readonly tag: string; readonly runNumber: number }): Html {
  return html`<section aria-labelledby="logs"><h2 id="logs">Log lines of the functions</h2>
${
  lines === null
    ? html`<p>Each line about this run has <code>"run":${run.runNumber}</code> and <code>"tag":"${run.tag}"</code>: filter the logs of the platform by these (CloudWatch: <code>{ $.run = ${run.runNumber} }</code>).</p>`
    : table<LogLine>({
        id: 'log-table',
        caption: 'The last lines, in the order of time',
        rows: lines,
        empty: 'The logs that are kept say nothing of this run.',
        columns: [
          { head: 'At (UTC)', cell: ({ time }) => time.slice(0, 23).replace('T', ' ') },
          { head: 'Level', cell: ({ level }) => mark(level === 'error' ? 'bad' : level === 'warn' ? 'waiting' : 'none', level) },
          { head: 'Function', cell: (line) => line.function },
          { head: 'Event', heads: true, cell: ({ event }) => event },
          { head: 'More', cell: ({ more }) => html`<code class="address">${more}</code>` },
        ],
      })
}</section>`
}
