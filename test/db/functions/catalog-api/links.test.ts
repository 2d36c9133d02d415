import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { LIST_COMMANDS } from '../../../../functions/catalog-api/api/link-lists.ts'
import { linksAnswer, recallAnswer } from '../../../../functions/catalog-api/api/link-schemas.ts'
import { registerLinks } from '../../../../functions/catalog-api/api/links.ts'
import { temporaryFolder } from '../../../../infra/local/testing.ts'
import {
  ANONYMOUS,
  caller,
  READER,
  type RestApp,
  restApp,
} from '../../../support/functions/catalog-api/rest-app.ts'
import { type RecallTape, recallTape } from '../../../support/recall-tape.ts'
import { makeRun, onlyOnTape, replicaOf, setState, type TestRun } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const execute = promisify(execFile)

let context: TestTapeContext
let tape: RecallTape
let app: RestApp
let here: TestRun
let elsewhere: TestRun
let asleep: TestRun
const SHIFTER = caller('read:LNGS', 'link:LNGS', 'recall:LNGS')

beforeAll(async () => {
  context = await startTestTapeContext({ environment: { CYGNET_LINK_SECONDS: '900' } })
  tape = recallTape()
  const withTape = { ...context, tape }
  app = restApp(withTape, registerLinks)
  here = await makeRun(withTape, 1)
  elsewhere = await makeRun(withTape, 2, 3000, 'LNF')
  asleep = await onlyOnTape(withTape, tape, 3)
  await makeRun(withTape, 4)
})
afterAll(() => context.close())

const link = (body: unknown, who = READER) => app.post('/api/v1/links', body, who)
const run = (number: number, tag = 'LNGS') => ({ tag, run: number })
const md5 = async (url: string) =>
  createHash('md5')
    .update(Buffer.from(await (await fetch(url)).arrayBuffer()))
    .digest('hex')

describe('links to a run', () => {
  test('lead to its bytes, state their actual end, and are not cached', async () => {
    const before = Date.now()
    const { status, json, headers } = await app.get('/api/v1/runs/LNGS/1/links?seconds=60')
    const after = Date.now()
    expect(status).toBe(200)
    expect(headers.get('cache-control')).toBe('no-store')
    const [file] = linksAnswer.parse(json).files
    if (file?.kind !== 'link') throw new Error(JSON.stringify(json))
    expect(file).toMatchObject({
      tag: 'LNGS',
      runNumber: 1,
      fileName: 'run00001.mid.gz',
      adler32: here.adler32,
      sizeBytes: 3000,
    })
    expect(await md5(file.url)).toBe(file.md5)
    const { 'X-Amz-Date': signed = '', 'X-Amz-Expires': seconds } = Object.fromEntries(
      new URL(file.url).searchParams,
    )
    const signedAt = Date.parse(signed.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'))
    expect(Date.parse(file.expiresAt)).toBe(signedAt + Number(seconds) * 1000)
    expect(Date.parse(file.expiresAt) - before).toBeGreaterThanOrEqual(59_000)
    expect(Date.parse(file.expiresAt)).toBeLessThanOrEqual(after + 60_000)
  })

  test('end at the limit of the service, however long a validity is requested', async () => {
    const { json } = await app.get('/api/v1/runs/LNGS/1/links?seconds=604800')
    expect(Date.parse(json.files[0].expiresAt) - Date.now()).toBeLessThanOrEqual(900_000)
  })

  test('of a run that is only on tape state that', async () => {
    const { status, json } = await app.get('/api/v1/runs/LNGS/3/links')
    expect([status, json.files[0].kind]).toEqual([200, 'on-tape'])
  })

  test.each([
    ['/api/v1/runs/LNGS/99/links', 404],
    ['/api/v1/runs/LNF/2/links', 403],
    ['/api/v1/runs/LNGS/1/links?seconds=0', 400],
    ['/api/v1/runs/LNGS/1/links?seconds=9999999', 400],
    ['/api/v1/runs/LNGS/1/links?format=zip', 400],
    ['/api/v1/runs/LNGS/1/links?secs=5', 400],
    ['/api/v1/runs/LNGS/3/links?recall=true', 403],
    ['/api/v1/runs/LNGS/3/links?format=wget', 409],
  ])('%s is answered %i', async (path, status) => {
    expect((await app.get(path)).status).toBe(status)
  })

  test('need the right to have links, not that to read', async () => {
    expect((await app.get('/api/v1/runs/LNGS/1/links', caller('read:LNGS'))).status).toBe(403)
    expect((await app.get('/api/v1/runs/LNGS/1/links', ANONYMOUS)).status).toBe(401)
    expect((await link({ runs: [run(1)] }, caller('read:LNGS'))).status).toBe(403)
  })
})

describe('links to many runs', () => {
  test.each([false, true])('lead to the bytes of each (looked up in the store: %s)', async (check) => {
    const { status, json } = await link({ runs: [run(4), run(1), run(1), run(3), run(99)], check })
    expect(status).toBe(200)
    expect(linksAnswer.parse(json).files.map((file) => [file.runNumber, file.kind])).toEqual([
      [1, 'link'],
      [3, 'on-tape'],
      [4, 'link'],
    ])
    expect(json.unknown).toEqual([
      { tag: 'LNGS', run: 99, why: expect.stringContaining('not in the catalogue') },
    ])
    for (const file of json.files) if (file.kind === 'link') expect(await md5(file.url)).toBe(file.md5)
  })

  test.each([false, true])('and single files (looked up in the store: %s)', async (check) => {
    const files = [
      { bucket: context.bucket, key: here.key },
      { bucket: context.bucket, key: 'LNGS/run00098.mid.gz' },
      { bucket: 'others', key: here.key },
      { bucket: context.bucket, key: '../../etc/passwd' },
    ]
    const { json } = await link({ files, check })
    expect(json.files.map((file: { key: string }) => file.key)).toEqual([here.key])
    expect(json.unknown.map((each: { key: string }) => each.key)).toEqual(
      files.slice(1).map((file) => file.key),
    )
  })

  test('are checked in the store on request', async () => {
    await context.put('LNGS/run00004.mid.gz', 'x'.repeat(3000))
    expect((await link({ runs: [run(4)] })).json.files[0].kind).toBe('link')
    expect((await link({ runs: [run(4)], check: true })).json.files[0]).toMatchObject({
      kind: 'unavailable',
      why: expect.stringContaining('something else'),
    })
  })

  test('are refused altogether when one is of a tag that is not the caller’s, whether it is there or not', async () => {
    expect((await link({ runs: [run(1), run(2, 'LNF')] })).status).toBe(403)
    expect((await link({ runs: [run(1), run(77, 'LNF')] })).status).toBe(403)
    expect((await link({ files: [{ bucket: context.bucket, key: elsewhere.key }] })).status).toBe(403)
    expect((await link({ runs: [run(1), run(2, 'LNF')] }, caller('link:*'))).json.files).toHaveLength(2)
  })

  test('are none to suspicious contents', async () => {
    const suspicious = await makeRun({ ...context, tape }, 6)
    await setState(context, (await replicaOf(context, suspicious, 'cloud'))?.id ?? 0, 'present', 'suspicious')
    expect((await link({ runs: [run(6)] })).json.files[0]).toMatchObject({
      kind: 'unavailable',
      why: expect.stringContaining('suspicious'),
    })
  })

  test.each([
    ['nothing', {}],
    ['no list', { runs: 'LNGS/1' }],
    ['a run number as text', { runs: [{ tag: 'LNGS', run: '1' }] }],
    ['a path as tag', { runs: [{ tag: '../LNGS', run: 1 }] }],
    ['too many', { runs: Array.from({ length: 1001 }, (_, index) => run(index)) }],
    [
      'too many together',
      {
        runs: Array.from({ length: 600 }, (_, index) => run(index)),
        files: Array.from({ length: 401 }, () => ({ bucket: 'b', key: 'k' })),
      },
    ],
    ['what there is not', { runs: [run(1)], url: 'http://example.org' }],
    ['no time', { runs: [run(1)], seconds: 0 }],
    ['more time than there can be', { runs: [run(1)], seconds: 604_801 }],
    ['another format', { runs: [run(1)], format: 'html' }],
  ])('refuses %s', async (_, body) => {
    expect((await link(body)).status).toBe(400)
  })

  test('a hundred are given quickly enough to be asked for without thinking', async () => {
    const runs = Array.from({ length: 1000 }, (_, index) => run(index + 1))
    const { status, json } = await link({ runs })
    expect(status).toBe(200)
    expect(json.files.length + json.unknown.length).toBe(1000)
  })
})

describe('the catalogue is asked in two statements', () => {
  let statements = 0
  let counted: RestApp
  beforeAll(() => {
    const database = context.database.withPlugin({
      transformQuery: ({ node }) => node,
      async transformResult({ result }) {
        statements++
        return result
      },
    })
    counted = restApp({ ...context, database, tape }, registerLinks)
  })
  beforeEach(() => {
    statements = 0
  })

  test('for the links to one run', async () => {
    const { json } = await counted.get('/api/v1/runs/LNGS/1/links')
    expect([json.files[0].kind, statements]).toEqual(['link', 2])
  })

  test.each([false, true])(
    'for runs of several tags and single files (looked up in the store: %s)',
    async (check) => {
      const files = [{ bucket: context.bucket, key: here.key }]
      const body = { runs: [run(1), run(2, 'LNF'), run(3)], files, check }
      const { json } = await counted.post('/api/v1/links', body, caller('link:*'))
      expect(json.files.map((file: { readonly runNumber: number }) => file.runNumber)).toEqual([2, 1, 3])
      expect(statements).toBe(2)
    },
  )
})

describe('lists', () => {
  test('for wget have an address a line, with name and checksums behind it', async () => {
    const { headers, text } = await link({ runs: [run(1)], format: 'wget' })
    expect(headers.get('content-type')).toContain('text/plain')
    const url = new URL(text.trimEnd())
    expect(url.hash).toBe(`#name=LNGS/run00001.mid.gz&md5=${here.md5}&adler32=${here.adler32}`)
    url.hash = ''
    expect(await md5(url.href)).toBe(here.md5)
  })

  test.skipIf(spawnSync('sh', ['-c', 'command -v wget']).status !== 0)(
    'for wget are fetched by it, and go on (where there is wget)',
    async () => {
      await makeRun({ ...context, tape }, 21)
      const runs = [run(1), run(21)]
      const { text: list } = await link({ runs, format: 'wget' })
      const { text: sums } = await link({ runs, format: 'md5sum' })
      const folder = temporaryFolder()
      writeFileSync(join(folder, 'links.txt'), list)
      writeFileSync(join(folder, 'sums.txt'), sums)
      const shell = (command: string) => execute('sh', ['-c', command], { cwd: folder })
      await shell(LIST_COMMANDS.wget)
      await shell(LIST_COMMANDS.md5sum)
      rmSync(join(folder, 'LNGS/run00021.mid.gz'))
      await shell(LIST_COMMANDS.wget)
      await shell(LIST_COMMANDS.md5sum)
      expect(readdirSync(join(folder, 'LNGS')).toSorted()).toEqual(['run00001.mid.gz', 'run00021.mid.gz'])
    },
  )

  test('for aria2 have name and checksum below each address', async () => {
    const { text } = await app.get('/api/v1/runs/LNGS/1/links?format=aria2')
    expect(text).toMatch(/^http.*\n {2}out=LNGS\/run00001\.mid\.gz\n {2}checksum=sha-256=[0-9a-f]{64}\n$/)
  })

  test('for md5sum are its checksum lists', async () => {
    expect((await link({ runs: [run(1)], format: 'md5sum' })).text).toBe(
      `${here.md5}  LNGS/run00001.mid.gz\n`,
    )
  })

  test('are refused when a file has no link, unless a part will do', async () => {
    const { status, json } = await link({ runs: [run(1), run(3), run(99)], format: 'wget' })
    expect([status, json.detail]).toEqual([
      409,
      expect.stringMatching(/run 99 of LNGS.*run00003.*only on tape/),
    ])
    const { status: partly, text } = await link({
      runs: [run(1), run(3), run(99)],
      format: 'wget',
      partial: true,
    })
    expect([partly, text.trimEnd().split('\n').length]).toEqual([200, 1])
  })
})

describe('a list for a program', () => {
  const path = (format: string) => `/api/v1/runs/LNGS/22/links?format=${format}`
  beforeAll(async () => {
    await makeRun({ ...context, tape }, 22)
  })
  const change = (changes: Readonly<Record<string, unknown>>) =>
    context.database
      .updateTable('runFiles')
      .set({ integrity: 'verified', complete: true, problem: null, ...changes })
      .where('objectKey', '=', 'LNGS/run00022.mid.gz')
      .execute()

  test('has the warning of a file behind its address or as a comment', async () => {
    await change({ complete: false, problem: 'cut\nat 5 %' })
    const { text: wget } = await app.get(path('wget'))
    expect(new URLSearchParams(new URL(wget.trimEnd()).hash.slice(1)).get('warning')).toBe(
      'is incomplete: cut\nat 5 %',
    )
    const { text: aria2 } = await app.get(path('aria2'))
    expect(aria2).toMatch(/^# LNGS\/run00022\.mid\.gz is incomplete: cut at 5 %\nhttp/)
    const { text: sums } = await app.get(path('md5sum'))
    expect(sums).toMatch(/^# LNGS\/run00022\.mid\.gz is incomplete: cut at 5 %\n[0-9a-f]{32} {2}/)
  })

  test('has no link to a disputed file, which JSON offers with its warning', async () => {
    await change({ integrity: 'mismatch' })
    for (const format of ['wget', 'aria2', 'md5sum']) {
      const { status, json } = await app.get(path(format))
      expect([status, json.detail]).toEqual([409, expect.stringMatching(/run00022.*disputed/)])
      expect(await app.get(`${path(format)}&partial=true`)).toMatchObject({ status: 200, text: '' })
    }
    const { json } = await app.get('/api/v1/runs/LNGS/22/links')
    expect(json.files).toMatchObject([
      { kind: 'link', disputed: true, warning: expect.stringContaining('is disputed') },
    ])
  })
})

describe('recalls', () => {
  test('of a file are by the right for the tag of its run, whatever the tag of its key', async () => {
    const moved = await onlyOnTape({ ...context, tape }, tape, 8)
    const files = [{ bucket: context.bucket, key: moved.key }]
    await context.database.updateTable('runs').set({ tag: 'LNF' }).where('id', '=', moved.runId).execute()
    const { json } = await link({ files, recall: true }, SHIFTER)
    expect(json).toMatchObject({ files: [], unknown: files })
    expect(await replicaOf(context, moved, 'recall')).toBeUndefined()
    await link({ files, recall: true }, caller('link:*', 'recall:*'))
    expect(await replicaOf(context, moved, 'recall')).toMatchObject({ state: 'requested' })
  })

  test('are allowed with the right to recall, and return what was requested', async () => {
    expect((await app.post('/api/v1/runs/LNGS/3/recall', { days: 3 })).status).toBe(403)
    const { status, json } = await app.post('/api/v1/runs/LNGS/3/recall', { days: 3 }, SHIFTER)
    expect(status).toBe(202)
    expect(recallAnswer.parse(json).files).toEqual([
      expect.objectContaining({ key: asleep.key, alreadyThere: false, state: 'requested' }),
    ])
    expect(Date.parse(json.files[0].expiresAt) - Date.now()).toBeGreaterThan(2.9 * 86_400_000)
    const { json: links } = await link({ runs: [run(3)] })
    expect(linksAnswer.parse(links).files[0]).toMatchObject({ kind: 'recalling', state: 'requested' })
    const history = await context.database
      .selectFrom('runHistory')
      .select('detail')
      .where('what', '=', 'asked back from tape')
      .execute()
    expect(history[0]?.detail).toContain('by Ada')
  })

  test('come with links when they are asked for', async () => {
    await onlyOnTape({ ...context, tape }, tape, 5)
    expect((await link({ runs: [run(5)], recall: true })).status).toBe(403)
    expect((await link({ runs: [run(5)], recall: true }, SHIFTER)).json.files[0]).toMatchObject({
      kind: 'recalling',
    })
  })

  test('of what can be had nowhere, or of no run, are refused with a sentence', async () => {
    expect((await app.post('/api/v1/runs/LNGS/99/recall', {}, SHIFTER)).status).toBe(404)
    const { status, json } = await app.post('/api/v1/runs/LNGS/6/recall', {}, SHIFTER)
    expect([status, json.detail]).toEqual([409, expect.stringContaining('suspicious')])
    expect((await app.post('/api/v1/runs/LNGS/3/recall', { days: 0 }, SHIFTER)).status).toBe(400)
    expect((await app.post('/api/v1/runs/LNGS/3/recall', { days: 400 }, SHIFTER)).status).toBe(400)
  })

  test('of very many at once are refused', async () => {
    const runs = Array.from({ length: 101 }, (_, index) => run(index))
    expect((await link({ runs, recall: true }, SHIFTER)).status).toBe(400)
  })
})
