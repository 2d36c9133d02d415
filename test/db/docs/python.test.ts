/**
 * The page for analysts: what it shows is what is in docs/python, and that works, against the real API and a
 * real store.
 */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createAdaptorServer } from '@hono/node-server'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { registerLinks } from '../../../functions/catalog-api/api/links.ts'
import { registerRuns } from '../../../functions/catalog-api/api/runs.ts'
import { pythonPage } from '../../../infra/generate/python-page.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { processEnvironment } from '../../../shared/config/config.ts'
import { presignGet } from '../../../shared/storage/links.ts'
import { partOfApi } from '../../support/part-of-api.ts'
import { makeRun } from '../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../support/tape-context.ts'

const DOCS = fileURLToPath(new URL('../../../docs', import.meta.url))
const run = promisify(execFile)

let context: TestTapeContext
let server: ReturnType<typeof createAdaptorServer>
let environment: Record<string, string | undefined>
let folder: string
beforeAll(async () => {
  context = await startTestTapeContext()
  const api = partOfApi(
    (part) => {
      registerRuns(part, context)
      registerLinks(part, context)
    },
    ['read:*', 'link:*'],
  )
  server = createAdaptorServer({ fetch: api.app.fetch })
  if ('keepAliveTimeout' in server) server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  folder = temporaryFolder()
  const { PATH, HOME } = processEnvironment()
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  // No __pycache__ in docs.
  environment = { PATH, HOME, PYTHONDONTWRITEBYTECODE: '1', CYGNET_API_URL: address }
})
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve))
  await context.close()
})

const python = async (...args: readonly string[]) =>
  await run('python3', args, { env: environment, cwd: folder })
const snippet = (name: string) => join(DOCS, 'python', name)
const missing = async (module: string): Promise<string | null> =>
  await python('-c', `import ${module}`).then(
    () => null,
    () => `python3 with ${module} is not here`,
  )

test('the page is what is generated from docs/python, and shows every file there', () => {
  const page = pythonPage((name) => readFileSync(snippet(name), 'utf8'))
  expect(readFileSync(join(DOCS, 'python.md'), 'utf8'), 'stale; type: npm run generate').toBe(page)
  for (const name of readdirSync(join(DOCS, 'python')).filter((name) => name.endsWith('.py')))
    expect(page).toContain(`python/${name}`)
})

describe('catalogue.py', () => {
  it('finds a run and fetches its files, compared', async (test) => {
    const reason = await missing('json')
    if (reason !== null) return test.skip(reason)
    const made = await makeRun(context, 12_345, 300_000)
    const { stdout } = await python(snippet('catalogue.py'), 'LNGS', '12345')
    expect(stdout).toMatch(/^LNGS 12345 .* events\n\.\/run12345\.mid\.gz\n$/)
    expect(readFileSync(join(folder, 'run12345.mid.gz')).equals(Buffer.from(made.bytes))).toBe(true)
  })

  it('follows the pages to the end, and takes a tag with a slash', async (test) => {
    const reason = await missing('json')
    if (reason !== null) return test.skip(reason)
    for (let number = 1; number <= 5; number++) await makeRun(context, number, 50, 'FLASH/2024')
    const script = `
import sys; sys.path.insert(0, sys.argv[1])
from catalogue import runs, links
print([run["runNumber"] for run in runs(tag="FLASH/2024", limit=2, sort="run")], links("FLASH/2024", 3)[0]["sizeBytes"])`
    expect((await python('-c', script, join(DOCS, 'python'))).stdout).toBe('[1, 2, 3, 4, 5] 50\n')
  })

  it('refuses what is not what the catalogue has', async (test) => {
    const reason = await missing('json')
    if (reason !== null) return test.skip(reason)
    await makeRun(context, 12_346, 100)
    const script = `
import sys; sys.path.insert(0, sys.argv[1])
from catalogue import fetch, links
file = links("LNGS", 12346)[0]
try:
    fetch(dict(file, md5="0" * 32))
except RuntimeError as error:
    print(error)
try:
    fetch(dict(file, kind="on-tape", how="it is only on tape"))
except RuntimeError as error:
    print(error)`
    expect((await python('-c', script, join(DOCS, 'python'))).stdout).toBe(
      './run12346.mid.gz.part is not what the catalogue has: fetch it again\nrun12346.mid.gz: it is only on tape\n',
    )
  })
})

it('with_requests.py reads some bytes of each file of a run', async (test) => {
  const reason = await missing('requests')
  if (reason !== null) return test.skip(reason)
  const made = await makeRun(context, 12_348, 100)
  const { stdout } = await python(snippet('with_requests.py'), 'LNGS', '12348')
  expect(stdout).toBe(`run12348.mid.gz 100 ${Buffer.from(made.bytes).subarray(0, 16).toString('hex')}\n`)
})

it('runs_table.py makes a table of pandas', async (test) => {
  const reason = await missing('pandas')
  if (reason !== null) return test.skip(reason)
  await makeRun(context, 12_347, 100)
  const { stdout } = await python(snippet('runs_table.py'), 'tag=LNGS&from=12347&to=12347')
  expect(stdout).toMatch(/tag +runNumber +startedAt +eventCount +param\.exposure_sec\n *LNGS +12347 /)
})

describe('a ROOT file by a link', () => {
  const link = async () => {
    const path = join(folder, 'made.root')
    await python(
      '-c',
      `import numpy, uproot\nwith uproot.recreate("${path}") as f: f.mktree("Events", {"run": "int64"}).extend({"run": numpy.arange(5)})`,
    )
    await context.put('RECO/made.root', readFileSync(path))
    return (
      await presignGet(
        context.publicS3,
        { bucket: context.bucket, key: 'RECO/made.root' },
        { seconds: 600, now: new Date() },
      )
    ).url
  }

  it('is read with uproot (open_root.py)', async (test) => {
    const reason = await missing('uproot')
    if (reason !== null) return test.skip(reason)
    const { stdout } = await python(snippet('open_root.py'), await link(), 'Events')
    expect(stdout).toMatch(/Events;1 TTree\n.*array\(\[0, 1, 2, 3, 4\]/s)
  })

  it('is read with ROOT (open_tfile.py)', async (test) => {
    const reason = (await missing('ROOT')) ?? (await missing('uproot'))
    if (reason !== null) return test.skip(reason)
    expect((await python(snippet('open_tfile.py'), await link())).stdout).toContain('Events')
  })
})
