/**
 * A plugin translates the camelCase names of rows into those of the columns, but not in raw SQL. This test
 * checks that every fragment of raw SQL uses the names of the tables.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, test } from 'vitest'

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))
const SCHEMAS = ['shared/database/schema.ts', 'shared/database/replica-schema.ts', 'shared/access/schema.ts']

const parse = (path: string): ts.SourceFile =>
  ts.createSourceFile(path, readFileSync(join(PROJECT, path), 'utf8'), ts.ScriptTarget.Latest, true)

/** camelCase names of tables and columns that differ from those in the database. */
function rowNames(): ReadonlySet<string> {
  const names = SCHEMAS.map(parse)
    .flatMap((source) => source.statements.filter(ts.isInterfaceDeclaration))
    .filter(({ name }) => name.text.endsWith('Table') || name.text === 'Schema')
    .flatMap(({ members }) => members.map((member) => member.name?.getText() ?? ''))
  return new Set(names.filter((name) => /[A-Z]/.test(name)))
}

/** The text of every fragment tagged `sql`, without the interpolated values. */
function rawFragments(source: ts.SourceFile): readonly string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isTaggedTemplateExpression(node) && node.tag.getText() === 'sql')
      found.push(
        ts.isNoSubstitutionTemplateLiteral(node.template)
          ? node.template.text
          : [node.template.head.text, ...node.template.templateSpans.map(({ literal }) => literal.text)].join(
              '?',
            ),
      )
    node.forEachChild(visit)
  }
  visit(source)
  return found
}

test('raw SQL names columns and tables as the database does', () => {
  const names = rowNames()
  expect(names).toContain('runNumber')
  const files = globSync('{shared,functions,cli,bench}/**/*.ts', { cwd: PROJECT })
  const fragments = files.flatMap((file) => rawFragments(parse(file)).map((text) => ({ file, text })))
  expect(fragments.length).toBeGreaterThan(50)
  // An alias (`AS sizeBytes`) is a name of the row and may be camelCase.
  const wrong = fragments.filter(({ text }) =>
    (text.replaceAll(/\bAS\s+\w+/gi, '').match(/\b\w+\b/g) ?? []).some((word) => names.has(word)),
  )
  expect(wrong).toEqual([])
})
