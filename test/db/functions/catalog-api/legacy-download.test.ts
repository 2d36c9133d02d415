/** The addresses that the experiment's tools build: who gets to the bytes by them, and who learns nothing. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import {
  parseDownloadPath,
  registerLegacyDownload,
} from '../../../../functions/catalog-api/legacy/download.ts'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { signal } from '../../../support/context.ts'
import { type PartOfApi, partOfApi } from '../../../support/part-of-api.ts'
import { type RecallTape, recallTape } from '../../../support/recall-tape.ts'
import { deleteFromStore, makeRun, onlyOnTape } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const MAY = ['link:LNGS']
let context: TestTapeContext
let tape: RecallTape
let api: PartOfApi
beforeAll(async () => {
  context = await startTestTapeContext()
  tape = recallTape()
  api = partOfApi((part) => registerLegacyDownload(part, { ...context, tape }))
})
afterAll(() => context.close())

const redirected = async (path: string, method = 'GET', scopes: readonly string[] = MAY) => {
  const answer = await api.ask(path, { scopes, method })
  return { status: answer.status, location: answer.headers.get('location') ?? '' }
}
const refused = async (path: string, scopes: readonly string[] = MAY) => {
  const answer = await api.ask(path, { scopes })
  const body = (await answer.json()) as { readonly detail: string }
  return {
    status: answer.status,
    detail: body.detail,
    location: answer.headers.get('location'),
    retryAfter: answer.headers.get('retry-after'),
  }
}

describe('a run in the store', () => {
  it.each([
    ['<base>/<TAG>/<file>', (_: string, key: string) => `/${key}`],
    [
      'of Swift',
      (bucket: string, key: string) => `/v1/AUTH_2ebf769785574195bde2ff418deac08a/${bucket}/${key}`,
    ],
    ['of a tenant', (bucket: string, key: string) => `/cygno:${bucket}/${key}`],
    ['of a tenant, encoded', (bucket: string, key: string) => `/cygno%3A${bucket}/${key}`],
    ['of S3', (bucket: string, key: string) => `/${bucket}/${key}`],
    ['with a query', (bucket: string, key: string) => `/${bucket}/${key}?x=1`],
  ])('at the address %s leads by GET to its bytes and by HEAD to its headers', async (_, path) => {
    const run =
      (await context.database
        .selectFrom('runs')
        .select('id')
        .where('runNumber', '=', 12_345)
        .executeTakeFirst()) ?? null
    if (run === null) await makeRun(context, 12_345, 4000)
    const got = await redirected(path(context.bucket, 'LNGS/run12345.mid.gz'))
    expect(got.status).toBe(302)
    const bytes = await fetch(got.location)
    expect([bytes.status, (await bytes.arrayBuffer()).byteLength]).toEqual([200, 4000])
    const asked = await redirected(path(context.bucket, 'LNGS/run12345.mid.gz'), 'HEAD')
    const head = await fetch(asked.location, { method: 'HEAD' })
    expect([asked.status, head.status, head.headers.get('content-length')]).toEqual([302, 200, '4000'])
  })

  it('whose number has six or seven digits, and one of a tag with a slash', async () => {
    await makeRun(context, 1_145_970)
    await makeRun(context, 77, 100, 'FLASH/2024')
    expect((await redirected('/LNGS/run1145970.mid.gz')).status).toBe(302)
    for (const path of ['/FLASH/2024/run00077.mid.gz', '/FLASH%2F2024/run00077.mid.gz'])
      expect((await redirected(path, 'GET', ['link:FLASH/2024'])).status).toBe(302)
    expect((await redirected('/FLASH/2024/run00077.mid.gz', 'GET', ['link:FLASH'])).status).toBe(403)
  })

  it('of several files: each has its own', async () => {
    const file = (subrun: number) => `LNGS/run00900sub000${subrun}.mid.gz`
    await context.putRun(file(0), 'a'.repeat(10))
    await context.putRun(file(1), 'b'.repeat(20))
    const bytes = await fetch((await redirected(`/${file(1)}`)).location)
    expect(await bytes.text()).toBe('b'.repeat(20))
  })

  it('is refused to callers without the right link for its tag, whether it exists or not', async () => {
    for (const path of ['/LNGS/run12345.mid.gz', '/LNGS/run99999.mid.gz']) {
      expect((await redirected(path, 'GET', [])).status).toBe(401)
      for (const scopes of [['read:LNGS'], ['link:LNF'], ['push:*'], ['link:LNGS/run']])
        expect((await redirected(path, 'GET', scopes)).status).toBe(403)
    }
  })

  it('has no link by another method', async () => {
    expect((await redirected('/LNGS/run12345.mid.gz', 'POST')).status).toBe(405)
    expect((await redirected('/LNGS/run12345.mid.gz', 'DELETE')).status).toBe(405)
  })
})

describe('there is no link to', () => {
  it('a run that only the store has', async () => {
    await context.put('LNGS/run55555.mid.gz', 'not catalogued')
    expect(await refused('/LNGS/run55555.mid.gz')).toMatchObject({ status: 404, location: null })
  })

  it('another spelling of the number, which is another object', async () => {
    expect((await refused('/LNGS/run012345.mid.gz')).status).toBe(404)
    expect((await refused('/LNGS/run12345.mid')).status).toBe(404)
  })

  it.each([
    '/LNGS/secret.txt',
    '/run12345.mid.gz',
    '/LNGS/run12345.mid.gz/',
    '/LNGS/run12345.mid.gz%00',
    '/LNGS/run12345.mid.gz%0a',
    '/LNGS/../LNGS/../x/run12345.mid.gz',
    '/LNF/..%2FLNGS/run12345.mid.gz',
    '/LNF%2F..%2FLNGS%2Frun12345.mid.gz',
    '/LNF/%252e%252e/LNGS/run12345.mid.gz',
    '/LNGS//run12345.mid.gz',
    '//LNGS/run12345.mid.gz',
    '/LNGS%5C..%5Crun12345.mid.gz',
    '/lngs/run12345.mid.gz',
    '/LNGS%20/run12345.mid.gz',
    '/cygno-analysis/LNGS/run12345.mid.gz',
    '/cygno:cygno-analysis/LNGS/run12345.mid.gz',
    '/v1/AUTH_x/cygno-analysis/LNGS/run12345.mid.gz',
    '/LNGS/run99999999999.mid.gz',
    '/LNGS/run12345.mid.zip',
    '/LNGS/run%zz/run12345.mid.gz',
    "/LNGS'%20OR%201=1/run12345.mid.gz",
  ])('%s', async (path) => {
    const answer = await api.ask(path, { scopes: ['link:*'] })
    expect([answer.status, answer.headers.get('location')]).toEqual([404, null])
  })
})

describe('a run that is not in the store', () => {
  it('and only on tape is reported as such, with what to do and when to retry', async () => {
    await onlyOnTape({ ...context, tape }, tape, 601)
    expect(await refused('/LNGS/run00601.mid.gz')).toMatchObject({
      status: 503,
      retryAfter: '600',
      location: null,
      detail: expect.stringMatching(/only on tape.*recall/),
    })
  })

  it('and being recalled is reported as recalling', async () => {
    await onlyOnTape({ ...context, tape }, tape, 602)
    await requestRecall(
      context,
      { runNumber: 602, tag: 'LNGS' },
      { days: 7, requestedBy: 'test' },
      new Date(),
      signal,
    )
    expect(await refused('/LNGS/run00602.mid.gz')).toMatchObject({
      status: 503,
      retryAfter: '600',
      detail: expect.stringContaining('recalling'),
    })
  })

  it('nor on tape is reported as such', async () => {
    await deleteFromStore(context, await makeRun(context, 603))
    expect(await refused('/LNGS/run00603.mid.gz')).toMatchObject({
      status: 503,
      retryAfter: null,
      detail: expect.stringContaining('never copied to tape'),
    })
  })
})

describe('a file to be used with care', () => {
  const change = (runNumber: number, changes: Readonly<Record<string, unknown>>) =>
    context.database
      .updateTable('runFiles')
      .set(changes)
      .where('objectKey', '=', `LNGS/run00${runNumber}.mid.gz`)
      .execute()

  it.each([
    [
      611,
      { complete: false, problem: 'the file ends in the middle of an event' },
      /^run00611\.mid\.gz is incomplete: the file ends/,
    ],
    [612, { counts: false }, /^run00612\.mid\.gz does not count for run 612/],
    // Text from a file: it must not end the header.
    [
      613,
      { complete: false, problem: 'ends\r\nset-cookie: a=b \u{1f4a3}' },
      /^run00613\.mid\.gz is incomplete: ends\?set-cookie: a=b \?$/,
    ],
  ] as const)('has its link, and the warning in a header (%i)', async (runNumber, changes, warning) => {
    await makeRun(context, runNumber)
    const path = `/LNGS/run00${runNumber}.mid.gz`
    expect((await api.ask(path, { scopes: MAY })).headers.get('x-cygnet-warning')).toBeNull()
    await change(runNumber, changes)
    for (const method of ['GET', 'HEAD']) {
      const answer = await api.ask(path, { scopes: MAY, method })
      expect([answer.status, answer.headers.get('x-cygnet-warning')]).toEqual([
        302,
        expect.stringMatching(warning),
      ])
      expect((await fetch(answer.headers.get('location') ?? '', { method })).status).toBe(200)
    }
  })

  it('has no link while its contents are disputed, although a read agreed with the catalogue', async () => {
    await makeRun(context, 614)
    await change(614, { integrity: 'mismatch' })
    expect(await refused('/LNGS/run00614.mid.gz')).toMatchObject({
      status: 503,
      location: null,
      detail: expect.stringMatching(/run00614\.mid\.gz: it is disputed.*cygnet link/),
    })
    expect((await redirected('/LNGS/run00614.mid.gz', 'HEAD')).status).toBe(503)
  })

  it('has no link while the copy in the store is suspicious', async () => {
    const { runId } = await makeRun(context, 615)
    await context.database
      .updateTable('replicas')
      .set({ state: 'suspicious', doubtedEvidence: 'read', lastError: 'other bytes' })
      .where('runId', '=', runId)
      .execute()
    expect(await refused('/LNGS/run00615.mid.gz')).toMatchObject({
      status: 503,
      location: null,
      detail: expect.stringContaining('suspicious'),
    })
  })
})

it('a run is got by the right for its tag, whatever the tag of its key', async () => {
  const { runId } = await makeRun(context, 616)
  await context.database.updateTable('runs').set({ tag: 'LNF' }).where('id', '=', runId).execute()
  expect((await redirected('/LNGS/run00616.mid.gz')).status).toBe(404)
  expect((await redirected('/LNGS/run00616.mid.gz', 'GET', ['link:LNGS', 'link:LNF'])).status).toBe(302)
})

test('whatever an address is, it is of a run file in a bucket of runs, or of nothing', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 5 }),
    fc.constantFrom(
      'LNGS',
      '..',
      '.',
      'cygno-data',
      'cygno:cygno-data',
      'v1',
      'AUTH_x',
      'run1.mid.gz',
      'other',
    ),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const wanted = parseDownloadPath([...pieces, 'run00001.mid.gz'].join('/'), ['cygno-data'])
      if (wanted === null) return
      expect(wanted.key).toBe(`${wanted.tag}/run00001.mid.gz`)
      expect(
        wanted.tag.split('/').some((segment) => segment === '' || segment === '.' || segment === '..'),
      ).toBe(false)
      expect([null, 'cygno-data']).toContain(wanted.bucket)
    }),
  )
})
