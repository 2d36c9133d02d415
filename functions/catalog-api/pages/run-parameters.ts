/** The parameters of a run with their units. */
import { html } from 'hono/html'
import { parameterSources } from '../../../shared/catalogue/run-parameters.ts'
import type { Run } from '../../../shared/database/schema.ts'
import { parameter } from './format.ts'
import { type Content, facts, type Html, NOTHING } from './parts.ts'

const UNITS: Readonly<Record<string, string>> = {
  exposure_sec: 's',
  total_gas_flow: 'l/h',
  source_position: 'cm',
  discrimination_threshold: 'mV',
  trigger_veto_time: 'µs',
}
const unitOf = (name: string) => UNITS[name] ?? (name.endsWith('_V') ? 'V' : '')

/** Parameters shown elsewhere on the page, or meant for the old tools only. */
const ELSEWHERE = /^(run_number|run_description|storage_)/

/** A value without a label comes from the file. */
export function parametersSection(run: Run): Html {
  const { parameters, corrections } = run
  const sources = parameterSources(run)
  const sourceOf = (name: string): Html => {
    if (sources[name] === 'logger') return html` <span class="label">logger</span>`
    if (sources[name] !== 'person') return NOTHING
    return html` <span class="label">corrected by ${corrections?.[name]?.by}</span>`
  }
  const shown = Object.entries(parameters).filter(
    ([name, value]) => value !== null && value !== '' && !ELSEWHERE.test(name),
  )
  return html`<section aria-labelledby="parameters"><h2 id="parameters">Parameters</h2>
${shown.length === 0 ? html`<p class="empty">No parameters are known.</p>` : facts(shown.map(([name, value]): readonly [string, Content] => [name, html`${withUnit(name, value)}${sourceOf(name)}`]))}
<p class="quiet">start_time and stop_time are the DAQ’s local time.</p></section>`
}

const withUnit = (name: string, value: number | string | null): Html =>
  html`${parameter(value)} <span class="quiet">${unitOf(name)}</span>`
