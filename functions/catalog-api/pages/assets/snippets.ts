/**
 * Use from Python and ROOT: the page of docs/ and its programs, which tests run. Embedded in a bundle as
 * text, like files.ts.
 */
import { readdirSync, readFileSync } from 'node:fs'

const docs = new URL('../../../../docs/', import.meta.url)
const programs = new URL('python/', docs)

/** docs/python.md, Markdown. */
export const PYTHON_PAGE: string = readFileSync(new URL('python.md', docs), 'utf8')

/** Programs by file name. */
export const PYTHON_PROGRAMS: Readonly<Record<string, string>> = Object.fromEntries(
  readdirSync(programs)
    .filter((name) => name.endsWith('.py'))
    .map((name) => [name, readFileSync(new URL(name, programs), 'utf8')]),
)
