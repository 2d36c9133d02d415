import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))
const OWNER = 'shared/catalogue/replica-states.ts'
/** Words that are only states of copies; others, such as `failed`, are also states of arrivals. */
const STATES = [
  'requested',
  'copying',
  'submitted',
  'staged',
  'staging',
  'on-media',
  'suspicious',
  'deleting',
]
const STATE = `'(?:${STATES.join('|')})'`
const OTHERS = ['present', 'failed', 'missing', 'replaced', 'deleted', 'expired', 'planned']
const ANY = `'(?:${[...STATES, ...OTHERS].join('|')})'`

/** `['staged', 'missing']`, `IN ('staged', 'missing')`, `state === 'staged' || state === 'missing'` */
const LISTS = [
  new RegExp(`[[(]\\s*(?:${ANY},\\s*)*${STATE},\\s*${ANY}`),
  new RegExp(`[[(]\\s*(?:${ANY},\\s*)+${STATE}`),
  new RegExp(`state === ${STATE}\\s*\\|\\|[^|&]*state === ${ANY}`),
]

test.each([
  "['present', 'deleting']",
  "['staged',\n  'present']",
  "sql`state IN ('missing', 'suspicious')`",
  "a.state === 'requested' || b.state === 'missing'",
])('%j is a list of states', (text) => {
  expect(LISTS.some((list) => list.test(text))).toBe(true)
})

test('all lists of states of copies are in one file', () => {
  const files = globSync('{shared,functions,cli,infra}/**/*.ts', { cwd: PROJECT }).filter(
    (file) =>
      file !== OWNER &&
      // A released migration is never changed, and storage-summary has words of runs and not of copies.
      !/migrations\/|storage-summary|shared\/tape\//.test(file),
  )
  expect(files.length).toBeGreaterThan(300)
  const withLists = files.filter((file) => {
    const text = readFileSync(`${PROJECT}/${file}`, 'utf8')
    return LISTS.some((list) => list.test(text))
  })
  expect(withLists).toEqual([])
})
