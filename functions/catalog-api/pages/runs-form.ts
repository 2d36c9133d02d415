/**
 * The filter form of the page Runs. Its fields are part of the address, so that a search can be bookmarked
 * and shared. On a phone the form is behind a button, which states how many filters are active.
 */
import { html } from 'hono/html'
import { labelOf } from '../../../shared/queries/parameter-labels.ts'
import { shownColumns } from '../../../shared/queries/shown-parameters.ts'
import { type Html, NOTHING } from './parts.ts'
import { COLUMN_NAMES, DEFAULT_COLUMNS, headOf } from './runs-columns.ts'
import {
  type ActiveFilter,
  type Choice,
  FIELDS,
  type FieldName,
  type FilterProblem,
  OPERATORS,
  shownTime,
} from './runs-fields.ts'
import { addressWithout } from './runs-query.ts'

/** Fields that are folded unless they are in use. */
const RARELY_USED = ['until', 'complete', 'pedestal', 'integrity', 'cloud', 'text']
/** Fields that the form preserves without showing them. */
const isKept = (name: string) => name === 'sort' || name.startsWith('param.')

export function runsForm(
  address: URLSearchParams,
  tags: readonly string[],
  problems: readonly FilterProblem[],
): Html {
  const value = (name: string) => address.get(name) ?? ''
  const isWrong = (name: string) => problems.some((problem) => problem.name === name)
  const wrong = (name: FieldName) =>
    isWrong(name) ? html` aria-invalid="true" aria-describedby="problem-${name}"` : NOTHING
  const input = (name: FieldName, attributes: Html) =>
    html`<label>${FIELDS[name].label} <input name="${name}" value="${shownTime(value(name))}" ${attributes}${wrong(name)}></label>\n`
  const select = (name: FieldName, none: string, choices: readonly Choice[]) =>
    html`<label>${FIELDS[name].label} <select name="${name}"${wrong(name)}>${[['', none] as const, ...choices].map((choice) => optionOf(choice, value(name)))}</select></label>\n`
  const number = html`inputmode="numeric" size="7" maxlength="10"`
  // The browser's own field for times has its own format, sometimes with AM and PM.
  const time = html`placeholder="YYYY-MM-DD hh:mm" size="17" maxlength="25"`
  const isOpen = RARELY_USED.some((name) => value(name) !== '' || isWrong(name))
  return html`<form method="get" action="/runs" class="filters" id="filters" popover role="search" aria-label="Runs">
<div class="sheet-head"><h2>Filters</h2><button type="button" popovertarget="filters" popovertargetaction="hide">Close</button></div>
<div class="fields">
${select(
  'tag',
  'all',
  tags.map((tag) => [tag, tag] as const),
)}
${input('from', number)}
${input('to', number)}
${input('since', time)}
${select('problem', 'with or without', FIELDS.problem.choices)}
${select('tape', 'any', FIELDS.tape.choices)}
<span class="buttons"><button class="main">Show</button></span>
</div>
<details${isOpen ? ' open' : ''}><summary>More filters</summary><div class="fields">
${input('until', time)}
${select('complete', 'any', FIELDS.complete.choices)}
${select('pedestal', 'any', FIELDS.pedestal.choices)}
${select('cloud', 'any', FIELDS.cloud.choices)}
${select('integrity', 'any', FIELDS.integrity.choices)}
${input('text', html`type="search" maxlength="200"`)}
${parameterFields}
</div></details>
<details><summary>Columns</summary>${columnBoxes(address.getAll('column'))}</details>
${[...address].filter(([name]) => isKept(name)).map(([name, text]) => html`<input type="hidden" name="${name}" value="${text}">`)}
</form>`
}

const optionOf = ([value, text]: Choice, chosen: string): Html =>
  html`<option value="${value}"${value === chosen ? ' selected' : ''}>${text}</option>`

const parameterChoice = ({ name }: { readonly name: string }): Choice => {
  const { label } = labelOf(name)
  return [name, label === name ? name : `${label} (${name})`]
}

/** Adds one condition to the existing ones. */
const parameterFields: Html = html`<fieldset class="group"><legend>Parameter</legend>
<select name="parameter" aria-label="Parameter">${[['', 'none'] as const, ...shownColumns.map(parameterChoice)].map((choice) => optionOf(choice, ''))}</select>
<select name="operator" aria-label="is">${OPERATORS.map((choice) => optionOf(choice, 'eq'))}</select>
<input name="value" aria-label="Value of the parameter" size="8" maxlength="200">
</fieldset>`

/** The button for the form on a phone, and the active filters, each with a link that removes it. */
export const filterBar = (
  address: URLSearchParams,
  filters: readonly ActiveFilter[],
): Html => html`<div class="bar">
<button type="button" class="open-filters" popovertarget="filters">Filters${filters.length === 0 ? '' : html` <strong>${filters.length}</strong><span class="unseen"> active</span>`}</button>
${
  filters.length === 0
    ? NOTHING
    : html`<ul class="chips" aria-label="Active filters">${filters.map(
        ({ name, value, text }) =>
          html`<li>${text} <a href="${addressWithout(address, name, value)}" aria-label="Without ${text}">×</a></li>`,
      )}<li class="plain"><a href="/runs">Clear all</a></li></ul>`
}</div>`

const columnBoxes = (
  chosen: readonly string[],
): Html => html`<fieldset class="columns"><legend class="unseen">Columns of the table</legend>
${COLUMN_NAMES.map((name) => html`<label><input type="checkbox" name="column" value="${name}"${(chosen.length === 0 ? DEFAULT_COLUMNS : chosen).includes(name) ? ' checked' : ''}> ${headOf(name)}</label>\n`)}
</fieldset>`
