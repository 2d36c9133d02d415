/**
 * The filter form of the page Runs. Its fields are part of the address, so that a search can be bookmarked
 * and shared.
 */
import { html } from 'hono/html'
import { PROBLEM_KINDS } from '../../../shared/catalogue/open-problems.ts'
import { CLOUD_WORDS, TAPE_WORDS } from '../../../shared/database/storage-summary.ts'
import { shownColumns } from '../../../shared/queries/shown-parameters.ts'
import { STORE_TEXTS, TAPE_TEXTS } from '../../../shared/queries/state-words.ts'
import { type Html, NOTHING } from './parts.ts'
import { COLUMN_NAMES, DEFAULT_COLUMNS, headOf } from './runs-columns.ts'
import { addressWith } from './runs-query.ts'

type Choice = readonly [value: string, text: string]

const YES_NO: readonly Choice[] = [
  ['', 'any'],
  ['true', 'yes'],
  ['false', 'no'],
]
const OPERATORS: readonly Choice[] = [
  ['eq', '='],
  ['ne', '≠'],
  ['lt', '<'],
  ['lte', '≤'],
  ['gt', '>'],
  ['gte', '≥'],
]
/** Fields that are folded unless they are in use. */
const RARELY_USED = ['until', 'complete', 'pedestal', 'integrity', 'cloud', 'text']
/** Fields that the form preserves without showing them. */
const isKept = (name: string) => name === 'sort' || name.startsWith('param.')

export function runsForm(address: URLSearchParams, tags: readonly string[]): Html {
  const value = (name: string) => address.get(name) ?? ''
  const input = (name: string, label: string, attributes: Html, shown = value(name)) =>
    html`<label>${label} <input name="${name}" value="${shown}" ${attributes}></label>\n`
  const select = (name: string, label: string, choices: readonly Choice[]) =>
    html`<label>${label} <select name="${name}">${choices.map((choice) => optionOf(choice, value(name)))}</select></label>\n`
  // The browser's own field for times has its own format, sometimes with AM and PM.
  const time = (name: string, label: string) =>
    input(name, label, html`placeholder="YYYY-MM-DD hh:mm" size="17" maxlength="25"`, shownTime(value(name)))
  const kept = [...address].filter(([name]) => isKept(name))
  return html`<form method="get" action="/runs" class="filters" role="search" aria-label="Runs">
<div class="fields">
${select('tag', 'Tag', [['', 'all'], ...tags.map((tag) => [tag, tag] as const)])}
${input('from', 'Runs from', html`inputmode="numeric" size="7" maxlength="10"`)}
${input('to', 'to', html`inputmode="numeric" size="7" maxlength="10"`)}
${time('since', 'Since (UTC)')}
${select('problem', 'Open problem', [['', 'with or without'], ['any', 'any'], ...PROBLEM_KINDS.map((kind) => [kind, kind] as const)])}
${select('tape', 'On tape', [['', 'any'], ...TAPE_WORDS.map((word) => [word, TAPE_TEXTS[word]] as const)])}
<span class="buttons"><button class="main">Show</button> <a href="/runs">Clear</a></span>
</div>
${chips(address)}
<details${RARELY_USED.some((name) => value(name) !== '') ? ' open' : ''}><summary>More filters</summary><div class="fields">
${time('until', 'Until (UTC)')}
${select('complete', 'Complete', YES_NO)}
${select('pedestal', 'Pedestal', YES_NO)}
${select('cloud', 'In the store', [['', 'any'], ...CLOUD_WORDS.map((word) => [word, STORE_TEXTS[word]] as const)])}
${select('integrity', 'Checksums', [
  ['', 'any'],
  ['verified', 'verified'],
  ['unstated', 'unstated'],
  ['mismatch', 'mismatch'],
])}
${input('text', 'Description has', html`type="search" maxlength="200"`)}
${parameterFields}
</div></details>
<details><summary>Columns</summary>${columnBoxes(address.getAll('column'))}</details>
${kept.map(([name, text]) => html`<input type="hidden" name="${name}" value="${text}">`)}
</form>`
}

/** `2026-01-15T08:00:00Z` as typed by a user. */
const shownTime = (text: string) => text.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:00)?Z$/, '$1 $2')

const optionOf = ([value, text]: Choice, chosen: string): Html =>
  html`<option value="${value}"${value === chosen ? ' selected' : ''}>${text}</option>`

/** Adds one condition to the existing ones. */
const parameterFields: Html = html`<fieldset class="group"><legend>Parameter</legend>
<select name="parameter" aria-label="Parameter">${[['', 'none'] as const, ...shownColumns.map(({ name }) => [name, name] as const)].map((choice) => optionOf(choice, ''))}</select>
<select name="operator" aria-label="is">${OPERATORS.map((choice) => optionOf(choice, 'eq'))}</select>
<input name="value" aria-label="Value of the parameter" size="8" maxlength="200">
</fieldset>`

/** The current conditions on parameters, each with a link that removes it. */
function chips(address: URLSearchParams): Html {
  const conditions = [...address].filter(([name]) => name.startsWith('param.'))
  if (conditions.length === 0) return NOTHING
  return html`<ul class="chips" aria-label="Conditions on parameters">${conditions.map(([name, value]) => {
    const [, parameter = '', operator = 'eq'] = name.split('.')
    const symbol = OPERATORS.find(([known]) => known === operator)?.[1] ?? operator
    const condition = `${parameter} ${symbol} ${value}`
    return html`<li>${condition} <a href="${addressWith(address, { [name]: null, cursor: null })}" aria-label="Without ${condition}">×</a></li>`
  })}</ul>`
}

const columnBoxes = (
  chosen: readonly string[],
): Html => html`<fieldset class="columns"><legend class="unseen">Columns of the table</legend>
${COLUMN_NAMES.map((name) => html`<label><input type="checkbox" name="column" value="${name}"${(chosen.length === 0 ? DEFAULT_COLUMNS : chosen).includes(name) ? ' checked' : ''}> ${headOf(name)}</label>\n`)}
</fieldset>`
