/** The log lines about a run on its page, for operators. */
import { html } from 'hono/html'
import { mayDo } from '../../../shared/access/caller.ts'
import type { RunId } from '../../../shared/run.ts'

import type { ApiContext } from '../http/route.ts'
import type { PageOptions } from './options.ts'
import { type Html, mark, NOTHING, type Tone, table } from './parts.ts'
import { type LogLine, logLinesOf } from './run-logs.ts'

/** Empty for callers who may not read them. */
export async function logSection(
  c: ApiContext,
  { logFolder }: Pick<PageOptions, 'logFolder'>,
  run: RunId,
): Promise<Html> {
  if (!mayDo(c.get('caller'), 'operate', run.tag)) return NOTHING
  const lines = logFolder === null ? logsElsewhere(run) : logTable(await logLinesOf(logFolder, run))
  return html`<section aria-labelledby="logs"><h2 id="logs">Log lines of the functions</h2>\n${lines}</section>`
}

const logsElsewhere = ({ tag, runNumber }: RunId): Html =>
  html`<p>Each line about this run has <code>"run":${runNumber}</code> and <code>"tag":"${tag}"</code>: filter the logs of the platform by these (CloudWatch: <code>{ $.run = ${runNumber} }</code>).</p>`

const TONES: Readonly<Record<string, Tone>> = { error: 'bad', fatal: 'bad', warn: 'waiting' }

const logTable = (lines: readonly LogLine[]): Html =>
  table<LogLine>({
    id: 'log-table',
    caption: 'The last lines, oldest first',
    rows: lines,
    empty: 'The available logs contain no line about this run.',
    columns: [
      { head: 'At (UTC)', cell: ({ time }) => time.slice(0, 23).replace('T', ' ') },
      { head: 'Level', cell: ({ level }) => mark(TONES[level] ?? 'none', level) },
      { head: 'Function', cell: (line) => line.function },
      { head: 'Event', heads: true, cell: ({ event }) => event },
      {
        head: 'More',
        cell: ({ error, more }) => html`${error ?? NOTHING}<code class="address wide">${more}</code>`,
      },
    ],
  })
