/** The log lines about a run on its page, for operators. */
import { html } from 'hono/html'
import { mayDo } from '../../../shared/access/caller.ts'
import type { RunId } from '../../../shared/run.ts'

import { shortened } from '../../../shared/text.ts'
import type { ApiContext } from '../http/route.ts'
import { counted } from './format.ts'
import type { PageOptions } from './options.ts'
import { fold, type Html, mark, NOTHING, type Tone, timeOf } from './parts.ts'
import { type LogLine, logLinesOf } from './run-logs.ts'

/** Empty for callers who may not read them. */
export async function logSection(
  c: ApiContext,
  { logFolder }: Pick<PageOptions, 'logFolder'>,
  run: RunId,
): Promise<Html> {
  if (!mayDo(c.get('caller'), 'operate', run.tag)) return NOTHING
  if (logFolder === null) return fold('logs', 'Log lines of the functions', logsElsewhere(run))
  const lines = await logLinesOf(logFolder, run)
  const of = (...levels: readonly string[]) => lines.filter(({ level }) => levels.includes(level)).length
  const [errors, warnings] = [of('error', 'fatal'), of('warn')]
  return fold(
    'logs',
    html`Log lines of the functions (${lines.length})${errors === 0 ? NOTHING : html` ${mark('bad', counted(errors, 'error'))}`}${warnings === 0 ? NOTHING : html` ${mark('waiting', counted(warnings, 'warning'))}`}`,
    lines.length === 0
      ? html`<p class="empty">The available logs contain no line about this run. Only the end of each log is searched; <code>cygnet logs --run ${run.runNumber}</code> searches all of it.</p>`
      : html`<p class="quiet">Newest first.</p><ol class="log">${lines.toReversed().map(logItem)}</ol>`,
  )
}

const logsElsewhere = ({ tag, runNumber }: RunId): Html =>
  html`<p>Each line about this run has <code>"run":${runNumber}</code> and <code>"tag":"${tag}"</code>: filter the logs of the platform by these (CloudWatch: <code>{ $.run = ${runNumber} }</code>).</p>`

const TONES: Readonly<Record<string, Tone>> = { error: 'bad', fatal: 'bad', warn: 'waiting' }

/** Fields that most often answer why, the first two that a line has; the others are folded. */
const KEY_FIELDS = ['reason', 'state', 'outcome', 'attempt', 'retryInSeconds', 'ms', 'queue', 'url', 'key']

function logItem(line: LogLine, index: number): Html {
  const fields = [['function', line.function] as const, ...line.fields]
  const shown = KEY_FIELDS.flatMap((name) => line.fields.filter(([field]) => field === name)).slice(0, 2)
  const at = Number.isNaN(Date.parse(line.time)) ? html`${line.time}` : timeOf(new Date(line.time))
  return html`<li><details id="log-${line.time.replaceAll(/\W/g, '')}-${index}"><summary>${at} ${mark(TONES[line.level] ?? 'none', line.level)} <strong>${line.event}</strong> <span class="quiet">${shown.map(([name, value]) => html`${name} ${shortened(value, MOST_CHARACTERS)} `)}</span>${line.error === null ? NOTHING : html`<span class="problem">${shortened(line.error, MOST_CHARACTERS)}</span>`}</summary>
<dl class="fields">${(line.error === null ? fields : [['error', line.error] as const, ...fields]).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl></details></li>\n`
}

const MOST_CHARACTERS = 100
