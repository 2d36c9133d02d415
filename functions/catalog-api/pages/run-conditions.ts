/** What a run is: its description, when it was taken, its events, and its conditions. */
import { html } from 'hono/html'
import { parameterSources } from '../../../shared/catalogue/run-parameters.ts'
import type { Run } from '../../../shared/database/schema.ts'
import { EVENT_TRIGGER } from '../../../shared/midas/format.ts'
import { isYesOrNo, labelOf } from '../../../shared/queries/parameter-labels.ts'
import type { RunDetails } from '../../../shared/queries/runs.ts'
import { bytes, count, counted, duration, parameter } from './format.ts'
import {
  agoOf,
  facts,
  fold,
  type Html,
  mark,
  NOTHING,
  parameterName,
  runPath,
  table,
  timeOf,
  whenOf,
} from './parts.ts'

/** Parameters that each run has anew, that are shown elsewhere, or that are meant for the old tools only. */
const NO_CONDITION = /^(run_number|run_description|start_time|stop_time|number_of_events|storage_)/

/** In their order; what belongs to no group comes last. */
const GROUPS: readonly (readonly [string, RegExp])[] = [
  ['High voltage', /_V$|^HV_/],
  ['Source and gas', /^(source|shielding|total_gas)/],
  ['Camera and trigger', /^(exposure|trigger|discrimination|pmt_|drs4)/],
  ['DAQ', /./],
]

/** The value is null where only the other run states one. */
type Named = readonly [name: string, value: number | string | null]

const statedBy = ({ parameters }: Pick<Run, 'parameters'>): readonly Named[] =>
  Object.entries(parameters).filter(([, value]) => value !== null && value !== '')

/** What the run states, then what only the run before does: a condition that is missing is a difference. */
function parametersOf(run: Run, before: Run | null): readonly Named[] {
  const own = statedBy(run)
  const names = new Set(own.map(([name]) => name))
  const others = before === null ? [] : statedBy(before).filter(([name]) => !names.has(name))
  return [...own, ...others.map(([name]) => [name, null] as const)]
}

/** @param before the previous run of the site; null if there is none. */
export function whatItIs(details: RunDetails, before: Run | null, now: Date): Html {
  const { run } = details
  const isCondition = ([name]: Named) => !NO_CONDITION.test(name)
  const conditions = statedBy(run).some(isCondition) ? parametersOf(run, before).filter(isCondition) : []
  const differing = conditions.filter(([name, value]) => differs(before, name, value)).length
  return html`<section class="card what" aria-labelledby="what"><h2 id="what">What it is</h2>
${run.description ? html`<p class="description lead">${run.description}</p>` : NOTHING}${labelsOf(run)}
${facts([
  ['Taken', run.startedAt === null ? 'begin unknown' : taken(run.startedAt, run.stoppedAt, now)],
  ['Events', run.firstFileAt === null ? null : eventsText(details)],
  ['Size', run.firstFileAt === null ? null : `${bytes(run.sizeBytes)} in ${counted(run.fileCount, 'file')}`],
  ['Quality', qualityText(details, now)],
])}
<h3>Conditions${before === null || conditions.length === 0 ? NOTHING : html` <small class="quiet">${differing === 0 ? 'as in' : html`<strong>${counted(differing, 'differs', 'differ')}</strong> from`} <a href="${runPath(before)}">run ${before.runNumber}</a></small>`}</h3>
${conditions.length === 0 ? html`<p class="empty">No condition is known: neither the file nor the DAQ’s logger has stated one.</p>` : groups(conditions).map(([title, own]) => conditionGroup(run, before, title, own))}
</section>`
}

function labelsOf({ pedestal, isHistory }: Run): Html {
  if (pedestal !== true && !isHistory) return NOTHING
  return html`<p>${pedestal === true ? html`<span class="label">pedestal run</span> ` : NOTHING}${isHistory ? html`<span class="label">history</span> <span class="quiet">taken before the take-over time of its tag</span>` : NOTHING}</p>`
}

function taken(from: Date, to: Date | null, now: Date): Html {
  const length = to === null ? 'its end is unknown' : `${duration(from, to)} long`
  return html`${whenOf(from, now)}<br><span class="quiet">${length}</span>`
}

/** Triggers are what physicists call events; a file has other MIDAS events as well. */
function eventsText({ run, events }: RunDetails): Html {
  const triggers = events.find(({ eventId }) => eventId === EVENT_TRIGGER)?.events ?? 0
  const others = run.eventCount - triggers
  return html`${counted(triggers, 'trigger')}<br><span class="quiet">${others === 0 ? NOTHING : html`and ${count(others)} of slow control: `}${counted(run.eventCount, 'MIDAS event')}</span>`
}

/** Plots and a quality verdict come from the reconstruction; until then, the state of its request. */
function qualityText({ requests, history }: RunDetails, now: Date): Html {
  const request = requests.find(({ queue }) => queue === 'reco-requests')
  const declined = history.findLast(({ what }) => what === 'reconstruction not asked for')
  if (request !== undefined)
    return html`${mark('none', 'not judged yet')}<br><span class="quiet">reconstruction requested ${agoOf(request.createdAt, now)}</span>`
  return html`${mark('none', 'not judged')}${declined === undefined ? NOTHING : html`<br><span class="quiet">no reconstruction: ${declined.detail}</span>`}`
}

function groups(conditions: readonly Named[]): readonly (readonly [string, readonly Named[]])[] {
  const groupOf = (name: string) => GROUPS.find(([, has]) => has.test(name))?.[0]
  return GROUPS.map(
    ([title]) => [title, conditions.filter(([name]) => groupOf(name) === title)] as const,
  ).filter(([, own]) => own.length > 0)
}

function conditionGroup(run: Run, before: Run | null, title: string, own: readonly Named[]): Html {
  return html`<h4>${title}</h4>
<dl class="conditions">${own.map(([name, value]) => {
    const was = before?.parameters[name] ?? null
    const isOther = differs(before, name, value)
    return html`<div${isOther ? html` class="differs"` : ''}><dt>${parameterName(name)}</dt><dd>${statedText(name, value)}</dd>${isOther ? html`<dd class="was">was ${statedText(name, was)}</dd>` : NOTHING}${sourceOf(run, name)}</div>`
  })}</dl>`
}

/** Whether the run before was taken under another condition. */
const differs = (before: Run | null, name: string, value: number | string | null): boolean =>
  before !== null && valueText(name, before.parameters[name] ?? null) !== valueText(name, value)

/** A value without a label comes from the file. */
function sourceOf(run: Run, name: string): Html {
  const source = parameterSources(run)[name]
  if (source === 'logger') return html`<dd><span class="label">logger</span></dd>`
  if (source !== 'person') return NOTHING
  return html`<dd><span class="label">corrected by ${run.corrections?.[name]?.by}</span></dd>`
}

const statedText = (name: string, value: number | string | null) =>
  value === null || value === '' ? 'not stated' : withUnit(name, value)

const withUnit = (name: string, value: number | string | null): Html =>
  html`${valueText(name, value)} <span class="quiet">${labelOf(name).unit}</span>`

function valueText(name: string, value: number | string | null): string {
  if (isYesOrNo(name) && (value === 0 || value === 1)) return value === 1 ? 'yes' : 'no'
  return parameter(value)
}

/** All parameters with the names of their columns, as the API and the Runlog have them. */
export function allParameters(run: Run, before: Run | null): Html {
  const rows = parametersOf(run, before).filter(([name]) => !name.startsWith('storage_'))
  if (rows.length === 0) return NOTHING
  const body = table<Named>({
    id: 'parameter-table',
    caption: 'All run parameters',
    captionHidden: true,
    cards: true,
    rows,
    empty: '',
    columns: [
      { head: 'Parameter', heads: true, cell: ([name]) => labelOf(name).label },
      { head: 'Column', cell: ([name]) => html`<code>${name}</code>` },
      { head: 'Value', cell: ([name, value]) => withUnit(name, value) },
      ...(before === null
        ? []
        : [
            {
              head: `In run ${before.runNumber}`,
              cell: ([name]: Named) => withUnit(name, before.parameters[name] ?? null),
            },
          ]),
      {
        head: 'Source',
        roomy: true,
        cell: ([name, value]) => (value === null ? '–' : (parameterSources(run)[name] ?? 'file')),
      },
    ],
  })
  return fold('all-parameters', `All parameters (${rows.length})`, body)
}

/** For the generations of a number that was used again. */
export const beginText = ({ startedAt }: Pick<Run, 'startedAt'>): Html =>
  startedAt === null ? html`at an unknown time` : timeOf(startedAt)
