/**
 * Every rule of .dependency-cruiser.cjs can fail: each is tested on a small project with one wrong import.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { cruise, type ICruiseOptions, type ICruiseResult, type IFlattenedRuleSet } from 'dependency-cruiser'
import { afterAll, beforeAll, expect, test } from 'vitest'

const rules = createRequire(import.meta.url)('../../../.dependency-cruiser.cjs') as IFlattenedRuleSet & {
  readonly options: ICruiseOptions
}

/** A correct project; each case adds lines to some of its files. */
const HOUSE: Readonly<Record<string, string>> = {
  'package.json': '{ "type": "module", "devDependencies": { "left-pad": "1.0.0" } }',
  'node_modules/left-pad/package.json': '{ "name": "left-pad", "version": "1.0.0", "main": "index.js" }',
  'node_modules/left-pad/index.js': 'module.exports = 1',
  'shared/errors.ts': 'export const a = 1',
  'shared/config/config.ts': "import { a } from '../errors.ts'\nexport const b = a",
  'shared/time/text.ts': "import type { b } from '../config/config.ts'\nexport type T = typeof b",
  'shared/midas/reader.ts': "import { a } from '../errors.ts'\nexport const c = a\nexport type C = typeof c",
  'shared/run.ts': "import { a } from './errors.ts'\nexport const d = a\nexport type D = typeof d",
  'shared/notifications/parse.ts': "import { d } from '../run.ts'\nexport const p = d",
  'shared/messages/runs.ts': "import { p } from '../notifications/parse.ts'\nexport const y = p",
  'shared/queue/queues.ts':
    "import { b } from '../config/config.ts'\nexport const e = b\nexport type E = typeof e",
  'shared/storage/objects.ts':
    "import { b } from '../config/config.ts'\nexport const f = b\nexport type F = typeof f",
  'shared/extraction/extract.ts':
    "import { c } from '../midas/reader.ts'\nimport { d } from '../run.ts'\nexport const g = c + d\nexport type G = typeof g",
  'shared/tape/driver.ts':
    "import { f } from '../storage/objects.ts'\nexport const q = f\nexport type Q = typeof q",
  'shared/database/schema.ts': "import type { G } from '../extraction/extract.ts'\nexport type S = G",
  'shared/context.ts':
    "import type { S } from './database/schema.ts'\nimport type { Q } from './tape/driver.ts'\nexport type Context = S | Q",
  'shared/access/tokens.ts': "import type { S } from '../database/schema.ts'\nexport type U = S",
  'shared/work/outbox.ts': "import type { Context } from '../context.ts'\nexport const w = 1 as Context",
  'shared/catalogue/runs.ts':
    "import { w } from '../work/outbox.ts'\nimport { f } from '../storage/objects.ts'\nexport const h = [w, f]",
  'shared/queries/runs.ts': "import { h } from '../catalogue/runs.ts'\nexport const i = h",
  'shared/ingest/reconcile.ts':
    "import { h } from '../catalogue/runs.ts'\nexport const j = h\nexport type J = typeof j",
  'shared/copies/tape/copy.ts':
    "import { q } from '../../tape/driver.ts'\nimport { h } from '../../catalogue/runs.ts'\nexport const v = [q, h]\nexport type V = typeof v",
  'shared/alerts/post.ts': "import { w } from '../work/outbox.ts'\nexport const x = w",
  'shared/runtime/http.ts': "import type { Context } from '../context.ts'\nexport const r = 1 as Context",
  'functions/one/handler.ts': "import { r } from '../../shared/runtime/http.ts'\nexport const one = r",
  'functions/one/lambda.ts': "import { one } from './handler.ts'\nexport const handler = one",
  'functions/two/handler.ts': 'export const two = 2',
  'infra/local/stack.ts': "import { b } from '../../shared/config/config.ts'\nexport const s = b",
  'infra/packaging/package.ts': "import { s } from '../local/stack.ts'\nexport const k = s",
  'cli/main.ts': "import { s } from '../infra/local/stack.ts'\nexport const m = s",
  'cli/output.ts': 'export const o = 1',
  'test/one.test.ts':
    "import { one } from '../functions/one/handler.ts'\nimport { m } from '../cli/main.ts'\nexport const t = one + m",
  'bench/one.ts': "import { one } from '../functions/one/handler.ts'\nexport const n = one",
}

/** The rule, the file that violates it, and the wrong line. */
const BREACHES: readonly (readonly [rule: string, file: string, line: string])[] = [
  ['shared-imports-shared', 'shared/config/config.ts', "import '../../infra/local/stack.ts'"],
  ['midas-is-pure', 'shared/midas/reader.ts', "import '../config/config.ts'"],
  ['midas-is-pure', 'shared/midas/reader.ts', "import type { D } from '../run.ts'"],
  ['notifications-are-pure', 'shared/notifications/parse.ts', "import '../midas/reader.ts'"],
  ['messages-are-pure', 'shared/messages/runs.ts', "import type { E } from '../queue/queues.ts'"],
  ['messages-are-pure', 'shared/messages/runs.ts', "import '../config/config.ts'"],
  ['foundation-first', 'shared/config/config.ts', "import '../storage/objects.ts'"],
  ['context-is-types-of-ports', 'shared/context.ts', "import type { J } from './ingest/reconcile.ts'"],
  ['every-folder-has-its-layer', 'shared/runtime/http.ts', "import '../elsewhere/new.ts'"],
  ['layer-queue', 'shared/queue/queues.ts', "import '../storage/objects.ts'"],
  ['layer-queue', 'shared/queue/queues.ts', "import type { Context } from '../context.ts'"],
  ['layer-storage', 'shared/storage/objects.ts', "import type { E } from '../queue/queues.ts'"],
  ['layer-extraction', 'shared/extraction/extract.ts', "import '../storage/objects.ts'"],
  ['layer-tape', 'shared/tape/driver.ts', "import type { S } from '../database/schema.ts'"],
  ['layer-database', 'shared/database/schema.ts', "import '../catalogue/runs.ts'"],
  ['layer-access', 'shared/access/tokens.ts', "import type { Q } from '../tape/driver.ts'"],
  ['layer-work', 'shared/work/outbox.ts', "import '../catalogue/runs.ts'"],
  ['layer-catalogue', 'shared/catalogue/runs.ts', "import '../queries/runs.ts'"],
  ['layer-catalogue', 'shared/catalogue/runs.ts', "import type { J } from '../ingest/reconcile.ts'"],
  ['layer-queries', 'shared/queries/runs.ts', "import type { V } from '../copies/tape/copy.ts'"],
  ['layer-ingest', 'shared/ingest/reconcile.ts', "import '../copies/tape/copy.ts'"],
  ['layer-copies', 'shared/copies/tape/copy.ts', "import type { J } from '../../ingest/reconcile.ts'"],
  ['layer-alerts', 'shared/alerts/post.ts', "import '../ingest/reconcile.ts'"],
  ['layer-runtime', 'shared/runtime/http.ts', "import '../ingest/reconcile.ts'"],
  ['functions-import-shared', 'functions/one/handler.ts', "import '../two/handler.ts'"],
  ['functions-import-shared', 'functions/one/handler.ts', "import '../../infra/local/stack.ts'"],
  ['nobody-imports-an-entry', 'cli/main.ts', "import '../functions/one/lambda.ts'"],
  ['cli-imports-shared-and-local', 'cli/main.ts', "import '../functions/one/handler.ts'"],
  ['cli-imports-shared-and-local', 'cli/main.ts', "import '../infra/packaging/package.ts'"],
  ['local-imports-shared', 'infra/local/stack.ts', "import '../../cli/output.ts'"],
  ['local-imports-shared', 'infra/local/stack.ts', "import '../../functions/one/handler.ts'"],
  ['infra-tools', 'infra/packaging/package.ts', "import '../../cli/output.ts'"],
  ['no-tests-in-the-house', 'cli/main.ts', "import '../bench/one.ts'"],
  ['no-cycle', 'shared/run.ts', "import './notifications/parse.ts'"],
  ['no-cycle', 'shared/config/config.ts', "import type { T } from '../time/text.ts'"],
  ['shipped-code-uses-dependencies', 'shared/config/config.ts', "import 'left-pad'"],
  ['environment-in-one-place', 'cli/main.ts', "import { env } from 'node:process'"],
  ['resolvable', 'cli/main.ts', "import './gone.ts'"],
]

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cygnet-boundaries-'))
  for (const [path, content] of Object.entries({ ...HOUSE, 'shared/elsewhere/new.ts': 'export const x = 1' }))
    await write(path, content)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function write(path: string, content: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), `${content}\n`)
}

async function brokenRules(): Promise<readonly string[]> {
  const { tsConfig: _, ...options } = rules.options
  const folders = ['functions', 'shared', 'cli', 'infra', 'test', 'bench']
  const { output } = await cruise(folders, { ...options, baseDir: folder, validate: true, ruleSet: rules })
  return [...new Set((output as ICruiseResult).summary.violations.map((violation) => violation.rule.name))]
}

test('a correct project breaks no rule; tests and benchmarks may import everything', async () => {
  expect(await brokenRules()).toEqual([])
})

test.each(BREACHES)('%s: %s must not say %s', async (rule, file, line) => {
  const content = HOUSE[file] ?? ''
  await write(file, `${line}\n${content}`)
  try {
    expect(await brokenRules()).toContain(rule)
  } finally {
    await write(file, content)
  }
})

test('every rule reports its violation', () => {
  const shown = new Set(BREACHES.map(([rule]) => rule))
  const names = rules.forbidden?.map((rule) => rule.name ?? '')
  expect(names?.filter((name) => !shown.has(name))).toEqual([])
})
