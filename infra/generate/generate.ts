/**
 * `npm run generate`: writes the pages of docs/ that are generated from the code. With `--check` it writes nothing,
 * reports stale pages and exits with 1 when there are any.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createProgram } from '../../cli/main.ts'
import { concerns } from '../../shared/config/config.ts'
import { cliPage } from './cli-page.ts'
import { configurationPage } from './configuration-page.ts'
import { messagesPage } from './messages-page.ts'
import { pythonPage } from './python-page.ts'
import { rightsPage } from './rights-page.ts'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))

const pages: Readonly<Record<string, () => string>> = {
  'docs/cli.md': () => cliPage(createProgram()),
  'docs/configuration.md': () => configurationPage(concerns),
  'docs/messages.md': messagesPage,
  'docs/python.md': () => pythonPage((name) => readFileSync(`${PROJECT}docs/python/${name}`, 'utf8')),
  'docs/rights.md': rightsPage,
}

function contentOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
const stale = Object.entries(pages)
  .map(([name, page]) => ({ name, content: page() }))
  .filter(({ name, content }) => contentOf(PROJECT + name) !== content)
for (const { name, content } of stale) {
  if (!values.check) writeFileSync(PROJECT + name, content)
  console.log(`${name}: ${values.check ? 'stale; type: npm run generate' : 'written'}`)
}
if (values.check && stale.length > 0) process.exitCode = 1
