/**
 * How to use the catalogue from Python and ROOT: the page of docs/ and the programs in it, which tests run.
 * As text, and put into a bundle as files.ts is.
 */
import { readdirSync, readFileSync } from 'node:fs'

const docs = new URL('../../../../docs/', import.meta.url)
const programs = new URL('python/', docs)

/** docs/python.md, Markdown. */
export const PYTHON_PAGE: string = readFileSync(new URL('python.md', docs), 'utf8')

/** By the name of their file. */
export const PYTHON_PROGRAMS: Readonly<Record<string, string>> = Object.fromEntries(
  readdirSync(programs)
    .filter((name) => name.endsWith('.py'))
    .map((name) => [name, readFileSync(new URL(name, programs), 'utf8')]),
)
