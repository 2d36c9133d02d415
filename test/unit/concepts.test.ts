/** docs/concepts.md has a diagram with every state that rows can have. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, test } from 'vitest'

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')

/** The words of a union type of texts. */
function wordsOf(path: string, type: string): readonly string[] {
  const source = ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true)
  const declared = source.statements.find(
    (statement) => ts.isTypeAliasDeclaration(statement) && statement.name.text === type,
  )
  return [...(declared?.getText() ?? '').matchAll(/'([a-z-]+)'/g)].map(([, word = '']) => word)
}

const diagrams = [...read('docs/concepts.md').matchAll(/```mermaid\n(.*?)```/gs)].map(([, text = '']) => text)

test.each([
  ['shared/database/schema.ts', 'ArrivalState'],
  ['shared/database/replica-schema.ts', 'CopyState'],
])('a diagram has each state of %s, %s', (path, type) => {
  const states = wordsOf(path, type)
  expect(states.length).toBeGreaterThan(4)
  // A name with a hyphen is the title of a state that has another in the diagram.
  const missing = states.filter((state) =>
    diagrams.every((text) => !new RegExp(`(?:--> |^ +|")${state}\\b`, 'm').test(text)),
  )
  expect(missing).toEqual([])
})
