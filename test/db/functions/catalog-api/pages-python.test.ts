/**
 * Use from Python and ROOT, on the site: the same programs that docs/python.md shows and the tests run, for
 * this catalogue.
 */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Api } from '../../../../functions/catalog-api/http/route.ts'
import { shellQuoted } from '../../../../functions/catalog-api/pages/api-snippets.ts'
import { parseMarkdown } from '../../../../functions/catalog-api/pages/markdown.ts'
import { bundleOfAssets, runInFreshNode } from '../../../support/fresh-node.ts'
import { ANONYMOUS, makeRun, OPERATOR, siteApp } from '../../../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const DOCS = fileURLToPath(new URL('../../../../docs', import.meta.url))
const PROGRAMS = readdirSync(join(DOCS, 'python')).filter((name) => name.endsWith('.py'))
const programText = (name: string) => readFileSync(join(DOCS, 'python', name), 'utf8')

let context: TestTapeContext
let site: Api
let who = OPERATOR
beforeAll(async () => {
  context = await startTestTapeContext()
  site = siteApp(context, () => who)
  await makeRun(context, { tag: 'LNGS', runNumber: 12_345, ago: 100 })
})
afterAll(() => context.close())

const pageAt = async (path: string) => (await site.app.request(`https://cygnet.lngs.infn.it${path}`)).text()
const unescaped = (text: string) =>
  text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
/** What the buttons copy. */
const copied = (page: string) =>
  [...page.matchAll(/<pre [^>]*>(.*?)<\/pre>/gs)].map(([, text]) => unescaped(text ?? ''))

test('shows every program of docs/python unchanged, and all of docs/python.md, with the address of this catalogue', async () => {
  const page = await pageAt('/python')
  for (const name of PROGRAMS) expect(copied(page)).toContain(programText(name).trimEnd())
  expect(copied(page)[0]).toContain('export CYGNET_API_URL=https://cygnet.lngs.infn.it\n')
  expect(page).not.toContain('cygnet.example.org')
  const markdown = readFileSync(join(DOCS, 'python.md'), 'utf8')
  for (const [, heading] of markdown.matchAll(/^## (.*)$/gm)) expect(page).toContain(`<h2>${heading}</h2>`)
  // Nothing of Markdown is left in what is read.
  expect(page.replaceAll(/<pre .*?<\/pre>/gs, '')).not.toMatch(/`|^#|\]\(/m)
})

test('is open to everyone, and every page links to it', async () => {
  who = ANONYMOUS
  const answer = await site.app.request('/python')
  who = OPERATOR
  expect(answer.status).toBe(200)
  for (const path of ['/', '/runs', '/replicas', '/queues', '/python'])
    expect(await pageAt(path)).toContain('<a href="/python">')
  expect(await pageAt('/runs/LNGS/12345')).toContain('<a href="/python?tag=LNGS&amp;run=12345">')
})

test('for a run has its tag and number in the commands', async () => {
  const [python, cygnet] = copied(await pageAt('/python?tag=LNGS&run=12345'))
  expect(python).toContain('python3 catalogue.py LNGS 12345')
  expect(cygnet).toBe('cygnet get 12345 --tag LNGS')
  const [curl = '', requests = ''] = copied(await pageAt('/runs/LNGS/12345'))
  expect(curl).toContain("'https://cygnet.lngs.infn.it/api/v1/runs/LNGS/12345/links'")
  expect(requests).toContain('"https://cygnet.lngs.infn.it/api/v1/runs/LNGS/12345/links"')
})

test.each(["x'; touch /tmp/pwned #", '$(id)', 'a\nrm -rf ~', '`id`', 'FLASH/2024 <b>'])(
  'a tag from an address (%j) is one word of the command, and no HTML',
  async (tag) => {
    const page = await pageAt(`/python?${new URLSearchParams({ tag, run: '5' })}`)
    expect(copied(page)[1]).toBe(`cygnet get 5 --tag ${shellQuoted(tag)}`)
    expect(page).not.toContain('<b>')
    const { stdout } = await promisify(execFile)('sh', ['-c', `printf '[%s]' ${shellQuoted(tag)}`])
    expect(stdout).toBe(`[${tag}]`)
  },
)

test.each([
  '?tag=LNGS',
  '?run=5',
  '?tag=LNGS&run=abc',
  '?tag=LNGS&run=-1',
  '?tag=&run=1',
  '?tag=LNGS&run=99999999999',
])('%s names no run', async (query) => {
  expect(await pageAt(`/python${query}`)).not.toContain('id="of-run"')
})

test('its programs can be fetched as files, and nothing else', async () => {
  for (const name of PROGRAMS) {
    const answer = await site.app.request(`/python/${name}`)
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(await answer.text()).toBe(programText(name))
  }
  for (const name of ['nothing.py', '__proto__', 'constructor', '..%2Fpython.md', '..%2F..%2Fpackage.json'])
    expect((await site.app.request(`/python/${name}`)).status).toBe(404)
})

test('a bundle has page and programs in it', async () => {
  const path = await bundleOfAssets('snippets.ts')
  const script = `const { PYTHON_PAGE, PYTHON_PROGRAMS } = require(${JSON.stringify(path)})
console.log(JSON.stringify([PYTHON_PAGE, PYTHON_PROGRAMS]))`
  const [page, programs] = JSON.parse(await runInFreshNode(script)) as [string, Record<string, string>]
  expect(page).toBe(readFileSync(join(DOCS, 'python.md'), 'utf8'))
  expect(programs).toEqual(Object.fromEntries(PROGRAMS.map((name) => [name, programText(name)])))
})

test('a page of docs is taken apart into headings, paragraphs and code', () => {
  const page =
    '# Title\n\nTwo\nlines.\n\n## Part\n\n[docs/python/a.py](python/a.py):\n\n```python\n# no heading\n\nx = 1\n```\n\nEnd.\n'
  expect(parseMarkdown(page)).toEqual([
    { kind: 'paragraph', text: 'Two lines.' },
    { kind: 'heading', text: 'Part' },
    { kind: 'code', text: '# no heading\n\nx = 1', file: 'a.py' },
    { kind: 'paragraph', text: 'End.' },
  ])
})
