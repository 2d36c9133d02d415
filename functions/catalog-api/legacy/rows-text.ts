/** The texts in which the old endpoint gives rows, piece by piece. */
import type { LegacyRow, LegacyTable } from '../../../shared/queries/legacy-runlog.ts'
import { htmlSpecialChars, jsonRowEncoder } from './php-text.ts'

type Batches = AsyncIterable<readonly LegacyRow[]>

/** `[ {…},{…} ]`, and nothing at all for no rows. */
export async function* jsonText({ columns }: LegacyTable, batches: Batches): AsyncGenerator<string> {
  const encode = jsonRowEncoder(columns)
  let before = '[ '
  for await (const rows of batches) {
    yield before + rows.map(encode).join(',')
    before = ','
  }
  if (before === ',') yield ' ]'
}

/** A page with one table, and nothing at all for no rows. */
export async function* htmlText({ name, columns }: LegacyTable, batches: Batches): AsyncGenerator<string> {
  const line = (cell: 'th' | 'td', values: LegacyRow) =>
    `<tr>${values.map((value) => `<${cell}>${htmlSpecialChars(value)}</${cell}>`).join('')}</tr>\n`
  const title = htmlSpecialChars(name)
  let before = `<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head><body><table border="1">\n`
  before += line('th', columns)
  let some = false
  for await (const rows of batches) {
    yield before + rows.map((row) => line('td', row)).join('')
    before = ''
    some = true
  }
  if (some) yield '</table></body></html>\n'
}
