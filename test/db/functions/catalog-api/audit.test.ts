/** Every use of a right that changes something is recorded: by whom, on what, in which request, how it ended. */
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createApi } from '../../../../functions/catalog-api/app.ts'
import { beginUse, listUses } from '../../../../shared/access/audit.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { record } from '../../../support/catalogue.ts'
import { signal } from '../../../support/context.ts'
import { startTestIssuer, type TestIssuer } from '../../../support/functions/catalog-api/access-fixture.ts'
import { metadataOf, versionOf } from '../../../support/metadata.ts'
import { type RecallTape, recallTape } from '../../../support/recall-tape.ts'
import { deleteFromStore, makeRun, onlyOnTape } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let issuer: TestIssuer
let tape: RecallTape
let ask: (method: string, path: string, body?: object, token?: string) => Promise<Response>
let machine: string
let changing: readonly string[]

beforeAll(async () => {
  issuer = await startTestIssuer(() => new Date())
  context = await startTestTapeContext({
    environment: {
      CYGNET_OIDC_ISSUER: issuer.url,
      CYGNET_ROLES: '/ops=operator:*',
      CYGNET_REQUESTS_PER_MINUTE: '0',
      CYGNET_RECALL_BYTES_PER_DAY: '1500000',
    },
  })
  tape = recallTape()
  const api = createApi({ ...context, tape })
  changing = api.rules.flatMap(({ method, path }) => (method === 'GET' ? [] : [`${method} ${path}`]))
  const scopes = ['push:LNGS']
  machine = (await createToken(context.database, { name: 'daq01', scopes, days: 1 }, new Date())).secret
  ask = async (method, path, body, token) => {
    const bearer = token ?? (await issuer.token({ sub: 'ada', name: 'Ada', 'wlcg.groups': ['/ops'] }))
    return await api.app.request(path, {
      method,
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  }
  for (const number of [1, 2, 3]) await onlyOnTape(context, tape, number, 1000)
  await record(context.database, versionOf('LNGS/run00009.mid.gz', 'nine'), metadataOf(9))
})
afterAll(async () => {
  await issuer?.close()
  await context?.close()
})
beforeEach(async () => {
  await context.database.withTables<{ auditedUses: object }>().deleteFrom('auditedUses').execute()
})

const uses = async () => (await listUses(context.database, { limit: 100 })).toReversed()
const ADA = { subject: 'person:ada', name: 'Ada', tokenId: null }

test('recalls, corrections, dead letters and ended sessions are recorded with the person and the request', async () => {
  await context.queues.send('runs-dead', ['{}'], signal)
  const letters = (await (await ask('GET', '/api/v1/dead/runs')).json()) as { letters: { id: string }[] }
  const letter = letters.letters[0]?.id
  const answers = [
    await ask('POST', '/api/v1/runs/LNGS/1/recall', {}),
    await ask('POST', '/api/v1/recalls', { range: { tag: 'LNGS', from: 2, to: 2 } }),
    await ask('POST', '/api/v1/links', { runs: [{ tag: 'LNGS', run: 3 }], recall: true }),
    await ask('PATCH', '/api/v1/runs/LNGS/9/parameters', { parameters: { GEM1_V: 440 }, reason: 'mistyped' }),
    await ask('DELETE', '/api/v1/sessions?subject=person:bob'),
    await ask('POST', `/api/v1/dead/runs/${letter}/retry`),
  ]
  expect(answers.map(({ status }) => status)).toEqual([202, 202, 200, 200, 204, expect.any(Number)])
  const requests = answers.map(({ headers }) => headers.get('x-request-id'))
  expect(new Set(requests).size).toBe(6)
  expect(await uses()).toMatchObject(
    [
      ['recall', 'LNGS: 1'],
      ['recall', 'LNGS: 2'],
      ['recall', 'LNGS: 3'],
      ['override', 'parameters of LNGS 9: GEM1_V = 440'],
      ['operate', 'all sessions and personal tokens of person:bob'],
      ['replay', `dead-letter-retried on runs: ${letter}`],
    ].map(([action, object], index) => ({ ...ADA, action, object, requestId: requests[index] })),
  )
  const outcomes = (await uses()).map(({ outcome }) => outcome)
  expect(outcomes.slice(0, 5)).toEqual(Array(5).fill('done'))
  expect(outcomes[5]).toMatch(/^(?:done|refused: there is no dead letter)/)
})

test('a machine that may remove a file, or may not, is recorded with its token', async () => {
  const bucket = context.config.store.rawBuckets[0] ?? ''
  const file = { sha256: 'a'.repeat(64), sizeBytes: 1, host: 'daq01', path: '/data/run00009.mid.gz' }
  const path = `/api/v1/files/${bucket}/LNGS%2Frun00009.mid.gz/deletions`
  expect((await ask('POST', path, file, machine)).status).toBe(200)
  expect((await ask('POST', `${path}/77`, { host: 'daq01', gone: true }, machine)).status).toBe(404)
  expect(await uses()).toMatchObject([
    {
      subject: expect.stringMatching(/^token:\d+$/),
      name: 'daq01',
      tokenId: expect.any(Number),
      action: 'push',
      object: `removal of daq01:/data/run00009.mid.gz (${bucket}/LNGS/run00009.mid.gz)`,
      outcome: expect.stringMatching(/^not permitted: ./),
    },
    { outcome: expect.stringMatching(/^refused: daq01 has no permission 77/) },
  ])
})

test('what only reads, or is refused for lack of a right, is not a use', async () => {
  const reader = await issuer.token({ sub: 'bob', 'wlcg.groups': [] })
  expect((await ask('POST', '/api/v1/runs/LNGS/1/recall', {}, reader)).status).toBe(403)
  expect((await ask('DELETE', '/api/v1/sessions?subject=person:ada', undefined, reader)).status).toBe(403)
  await ask('POST', '/api/v1/links', { runs: [{ tag: 'LNGS', run: 3 }], check: true })
  await ask('POST', '/api/v1/recalls', { range: { tag: 'LNGS', from: 1, to: 3 }, dryRun: true })
  await ask('GET', '/api/v1/queues')
  expect(await uses()).toEqual([])
})

test('a recall with links that the budget refuses, or refuses in part, is not recorded as done', async () => {
  await onlyOnTape(context, tape, 71, 2_000_000)
  const both = [3, 71].map((run) => ({ tag: 'LNGS', run }))
  await ask('POST', '/api/v1/links', { runs: [{ tag: 'LNGS', run: 71 }], recall: true })
  await ask('GET', '/api/v1/runs/LNGS/71/links?recall=true')
  await ask('POST', '/api/v1/links', { runs: both, recall: true })
  await ask('POST', '/api/v1/links', { runs: [{ tag: 'LNGS', run: 404 }], recall: true })
  expect((await uses()).map(({ outcome }) => outcome)).toEqual([
    expect.stringMatching(/^refused: .*budget.*2\.00 MB/),
    expect.stringMatching(/^refused: .*budget/),
    expect.stringMatching(/^partly done: 1 of \d files; not: .*budget/),
    'refused: run 404 of LNGS is not in the catalogue, or has no current file',
  ])
})

test('the record of a recalled range names the runs that are recalled, and those that are left out', async () => {
  await onlyOnTape(context, tape, 80, 10)
  await deleteFromStore(context, await makeRun(context, 81, 3000))
  const range = (from: number) => ({ range: { tag: 'LNGS', from, to: 89 } })
  expect((await ask('POST', '/api/v1/recalls', range(80))).status).toBe(202)
  expect((await ask('POST', '/api/v1/recalls', range(81))).status).toBe(409)
  expect(await uses()).toMatchObject([
    {
      object: 'LNGS: 80',
      outcome: 'partly done: without 1 of 2 files, which cannot be recalled, of LNGS: 81',
    },
    { object: 'LNGS: 81', outcome: expect.stringMatching(/^refused: none of these runs/) },
  ])
})

test('the record of a request for as many runs as one may have names every run and no other', async () => {
  const object = Array.from({ length: 500 }, (_, index) => 1_234_567 + 2 * index).join(', ')
  await beginUse(context.database, { ...ADA, action: 'recall', requestId: null, object }, new Date())
  expect((await uses()).map((use) => use.object)).toEqual([object])
})

test('a list too long for its column is cut between two items, with the number of those left out', async () => {
  const items = Array.from({ length: 4000 }, (_, index) => String(1_000_000 + index))
  await beginUse(
    context.database,
    { ...ADA, action: 'replay', requestId: null, object: items.join(', ') },
    new Date(),
  )
  const object = (await uses())[0]?.object ?? ''
  const [, list = '', more] = /^(.*); and (\d+) more$/.exec(object) ?? []
  const named = list.split(', ')
  expect(named).toEqual(items.slice(0, named.length))
  expect(named.length + Number(more)).toBe(items.length)
  expect(named.length).toBeGreaterThan(1000)
})

test('a report that a file is on a disk, or no longer, is recorded when it changes what is known', async () => {
  const run = await makeRun(context, 90, 3000)
  const { bucket, key } = run.object
  const report = async (there: boolean) => {
    const file = { sha256: run.sha256, sizeBytes: 3000, host: 'daq01', path: '/data/run00090.mid.gz', there }
    const path = `/api/v1/files/${bucket}/${encodeURIComponent(key)}/local-copies`
    expect((await ask('POST', path, file, machine)).status).toBe(200)
  }
  for (const there of [true, true, false, false, true]) await report(there)
  const name = `daq01:/data/run00090.mid.gz (${bucket}/${key})`
  expect((await uses()).map(({ name: by, object, outcome }) => [by, object, outcome])).toEqual([
    ['daq01', `copy ${name}`, 'done'],
    ['daq01', `missing copy ${name}`, 'done'],
    ['daq01', `copy ${name}`, 'done'],
  ])
})

/** A new route that changes something gets its record, or its reason here. */
const CHANGING: Readonly<Record<string, 'recorded' | { readonly not: string }>> = {
  'DELETE /api/v1/me/tokens/:id': 'recorded',
  'DELETE /api/v1/sessions': 'recorded',
  'PATCH /api/v1/runs/:tag/:run/parameters': 'recorded',
  'POST /api/v1/alerts/alertmanager': { not: 'an alert of another system, in the table of alerts' },
  'POST /api/v1/dead/:queue/:id/dismiss': 'recorded',
  'POST /api/v1/dead/:queue/:id/retry': 'recorded',
  'POST /api/v1/files/:bucket/:key{.+}/deletions': 'recorded',
  'POST /api/v1/files/:bucket/:key{.+}/deletions/:id{[0-9]+}': 'recorded',
  'POST /api/v1/files/:bucket/:key{.+}/local-copies': 'recorded',
  'POST /api/v1/links': 'recorded',
  'POST /api/v1/me/tokens': 'recorded',
  'POST /api/v1/recalls': 'recorded',
  'POST /api/v1/runs/:tag/:run/recall': 'recorded',
  'POST /api/v1/uploads/sign': { not: 'what was uploaded is in the ledger of arrivals' },
  'POST /queues/:queue/dismiss': 'recorded',
  'POST /queues/:queue/retry': 'recorded',
  'POST /runs/links': 'recorded',
  'POST /theme': { not: 'a cookie of the browser' },
  'POST /tokens': 'recorded',
  'POST /tokens/:id{[0-9]+}/revoke': 'recorded',
  'POST /tokens/everybody/:id{[0-9]+}/revoke': 'recorded',
}

test('it is decided of every route that changes something whether it is recorded', () => {
  expect(changing.toSorted()).toEqual(Object.keys(CHANGING).toSorted())
})

test('a use that was refused has the reason as its outcome', async () => {
  const correction = { parameters: { run_number: 10 }, reason: 'mistyped' }
  expect((await ask('PATCH', '/api/v1/runs/LNGS/9/parameters', correction)).status).toBe(400)
  expect(await uses()).toMatchObject([{ action: 'override', outcome: expect.stringMatching(/^refused: ./) }])
})

test('without its record nothing is done', async () => {
  await sql`RENAME TABLE audited_uses TO audited_uses_away`.execute(context.database)
  try {
    const answer = await ask('PATCH', '/api/v1/runs/LNGS/9/parameters', {
      parameters: { GEM1_V: 450 },
      reason: 'mistyped',
    })
    expect(answer.status).toBeGreaterThanOrEqual(500)
  } finally {
    await sql`RENAME TABLE audited_uses_away TO audited_uses`.execute(context.database)
  }
  const run = (await (await ask('GET', '/api/v1/runs/LNGS/9')).json()) as {
    parameters: Record<string, unknown>
  }
  expect(run.parameters.GEM1_V).toBe(440)
})

test('operators of all tags read the audit, by person and page by page', async () => {
  const use = { name: 'x', tokenId: null, action: 'recall', requestId: null } as const
  for (let count = 0; count < 5; count++)
    await beginUse(
      context.database,
      { ...use, subject: count % 2 === 0 ? 'person:ada' : 'person:bob', object: `run ${count}` },
      new Date(),
    )
  type Shown = { uses: { id: number; object: string; outcome: string | null }[] }
  const list = async (query: string) => (await (await ask('GET', `/api/v1/audit?${query}`)).json()) as Shown
  expect((await list('')).uses.map(({ object }) => object)).toEqual([
    'run 4',
    'run 3',
    'run 2',
    'run 1',
    'run 0',
  ])
  const first = await list('subject=person:ada&limit=2')
  expect(first.uses.map(({ object, outcome }) => [object, outcome])).toEqual([
    ['run 4', null],
    ['run 2', null],
  ])
  const rest = await list(`subject=person:ada&before=${first.uses[1]?.id}`)
  expect(rest.uses.map(({ object }) => object)).toEqual(['run 0'])
  const reader = await issuer.token({ sub: 'bob', 'wlcg.groups': [] })
  expect((await ask('GET', '/api/v1/audit', undefined, reader)).status).toBe(403)
  expect((await ask('GET', '/api/v1/audit?limit=1001')).status).toBe(400)

  const text = async (query: string) => await (await ask('GET', `/api/v1/audit?${query}`)).text()
  const lines = (await text('format=ndjson')).trim().split('\n')
  expect(lines.map((line) => JSON.parse(line))).toEqual((await list('')).uses)
  const [head, ...rows] = (await text('format=csv&subject=person:ada&limit=2')).trim().split('\r\n')
  expect(head).toBe('id,at,subject,name,tokenId,action,object,requestId,outcome')
  expect(rows.map((row) => row.split(',')[6])).toEqual(['run 4', 'run 2'])
})
