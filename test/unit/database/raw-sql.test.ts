/**
 * Rows are camelCase, and a plugin turns their names into those of the columns; in raw SQL it does not. So
 * raw SQL names columns as the tables have them, and this test knows every fragment of it.
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

/** Names of tables and columns as rows have them, where the database's own differ. */
function rowNames(): ReadonlySet<string> {
  const names = SCHEMAS.map(parse)
    .flatMap((source) => source.statements.filter(ts.isInterfaceDeclaration))
    .filter(({ name }) => name.text.endsWith('Table') || name.text === 'Schema')
    .flatMap(({ members }) => members.map((member) => member.name?.getText() ?? ''))
  return new Set(names.filter((name) => /[A-Z]/.test(name)))
}

/** The text of every fragment that is tagged `sql`, without what is put in. */
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
  // A name that a fragment gives to a value (`AS sizeBytes`) is a row's name.
  const wrong = fragments.filter(({ text }) =>
    (text.replaceAll(/\bAS\s+\w+/gi, '').match(/\b\w+\b/g) ?? []).some((word) => names.has(word)),
  )
  expect(wrong).toEqual([])
})
