/**
 * Recorded answers of tape endpoints, Rucio, FTS and an IAM with fields dropped, doubled, reordered, of another
 * type and with another number: the result is that of the whole answer, "unknown" or an error, never another state.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { TransientError } from '../../../shared/errors.ts'
import type { TapeFile } from '../../../shared/tape/driver.ts'
import { createFtsDriver } from '../../../shared/tape/fts/fts.ts'
import { createRucioDriver } from '../../../shared/tape/rucio/rucio.ts'
import { createTokenSource } from '../../../shared/tape/tokens/tokens.ts'
import { parseMultistatus } from '../../../shared/tape/webdav/properties.ts'
import { startHttpServer, type TestServer } from '../../support/http-server.ts'
import { memoryEndpoint } from '../../support/memory-endpoint.ts'
import { tapeFileOf } from '../../support/tape/files.ts'
import { startTapeRestServer, type TapeRestServer } from '../../support/tape-rest-server.ts'
import { BYTES, never, startWebdavFixture, type WebdavFixture } from '../../support/webdav-fixture.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

const retyped = (value: Json): readonly Json[] =>
  typeof value === 'string'
    ? [7, null, [value]]
    : typeof value === 'number'
      ? [`${value}`, null, value + 1, value - 1, 0]
      : [7, 'x']

/** Every text that differs from the answer in one field or entry. */
function* mutants(value: Json): Generator<string> {
  if (Array.isArray(value)) {
    yield JSON.stringify([...value, ...value])
    yield JSON.stringify(value.toReversed())
    for (const [index, entry] of value.entries())
      for (const mutant of mutants(entry))
        yield `[${value.map((other, at) => (at === index ? mutant : JSON.stringify(other))).join()}]`
  } else if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).map(([name, field]) => [JSON.stringify(name), field] as const)
    const text = (pairs: readonly (readonly [string, string])[]) =>
      `{${pairs.map(([name, field]) => `${name}:${field}`).join()}}`
    const whole = fields.map(([name, field]) => [name, JSON.stringify(field)] as const)
    yield text(whole.toReversed())
    for (const [index, [name, field]] of fields.entries()) {
      const replacing = (other: string) =>
        text(whole.map((pair, at) => (at === index ? [name, other] : pair)))
      yield text(whole.toSpliced(index, 1))
      yield text([...whole, [name, JSON.stringify(field)]])
      for (const other of retyped(field)) yield replacing(JSON.stringify(other))
      for (const mutant of mutants(field)) yield replacing(mutant)
    }
  }
}

const outcomeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.catch((error: unknown) => {
    if (error instanceof TransientError) return 'unknown'
    throw error
  })

/** The result of every mutant is that of the whole answer, or an unknown one. */
async function expectHonest(
  recorded: Json,
  ask: (answer: string) => Promise<unknown>,
  isUnknown: (outcome: unknown) => boolean = () => false,
): Promise<void> {
  const whole = await ask(JSON.stringify(recorded))
  let count = 0
  for (const mutant of mutants(recorded)) {
    count++
    const outcome = await outcomeOf(ask(mutant))
    if (outcome !== 'unknown' && !isUnknown(outcome)) expect(outcome, mutant).toEqual(whole)
  }
  expect(count).toBeGreaterThan(5)
}

const hasKind =
  (...kinds: readonly string[]) =>
  (outcome: unknown) =>
    kinds.includes((outcome as { kind: string }).kind)

let fixture: WebdavFixture
let tape: TapeRestServer
let file: TapeFile
let path: string
beforeEach(async () => {
  fixture = await startWebdavFixture({ tapeRest: 'auto' })
  tape = await startTapeRestServer()
  fixture.server.elsewhere.set('/.well-known/wlcg-tape-rest-api', () =>
    fetch(`${tape.origin}/.well-known/wlcg-tape-rest-api`),
  )
  file = await tapeFileOf(BYTES)
  path = `/cygno/${file.name}`
  fixture.server.files.set(file.name, BYTES)
})
afterEach(() => Promise.all([fixture.close(), tape.close()]))

const check = () => fixture.driver.check(file, { reference: null, readBack: 'never' }, never)

it.each(['TAPE', 'DISK', 'LOST', 'UNAVAILABLE'])(
  'a mutated answer about a file that is on %s never moves it to a medium',
  async (locality) => {
    await expectHonest(
      [{ path, locality }],
      (answer) => {
        tape.answerWith('POST /archiveinfo', 200, answer)
        return check()
      },
      (outcome) => JSON.stringify(outcome).includes('"onMedia":false'),
    )
  },
)

it.each([
  ['online', { onDisk: true }],
  ['waiting', { state: 'STARTED', startedAt: 1_700_000_000 }],
  ['failed', { state: 'FAILED', error: 'no drive' }],
])('a mutated answer about a file whose staging is %s states nothing else', async (_, entry) => {
  tape.localities.set(path, 'DISK_AND_TAPE')
  await expectHonest(
    {
      id: 'a',
      files: [
        { ...entry, path },
        { path: '/other/b', onDisk: true },
      ],
    },
    (answer) => {
      tape.requests.length = 0
      tape.answerWith('GET /stage', 200, answer)
      return fixture.driver
        .stage(file, { reference: 'a', lifetimeSeconds: 60 }, never)
        .then(({ kind }) => ({ kind, requests: tape.requests.length }))
    },
  )
})

const OTHER_SIZES = ['0', '45', String(BYTES.length - 1), String(10 * BYTES.length), '9'.repeat(30)]

it('properties with another size, or none, never make a file another one or a missing one', async () => {
  const right = String(BYTES.length)
  const pairs = OTHER_SIZES.flatMap((size) => [
    ...[right, '', 'x', `${size}1`].map((property) => [size, property] as const),
    [right, size] as const,
  ])
  for (const [head, property] of pairs) {
    const headers = { 'Content-Length': head }
    fixture.server.meet('HEAD', ({ response }) => void response.writeHead(200, headers).end())
    const xml = `<multistatus><response><href>${path}</href><propstat><prop><getcontentlength>${property}</getcontentlength></prop></propstat></response></multistatus>`
    fixture.server.meet('PROPFIND', ({ response }) => void response.writeHead(207).end(xml))
    const outcome = await outcomeOf(check())
    if (outcome !== 'unknown') expect(outcome, `${head} ${property}`).toMatchObject({ kind: 'unproven' })
  }
})

it('mutated headers of a file never make it another file or a missing one', async () => {
  const headers: [string, string][] = [
    ['Content-Length', String(BYTES.length)],
    ['Digest', `adler32=${file.adler32}`],
    ['Repr-Digest', `md5=:${Buffer.from(file.md5, 'hex').toString('base64')}:`],
    ['Content-Type', 'application/octet-stream'],
  ]
  const mutated = headers.flatMap(([name, value], index) => [
    headers.toSpliced(index, 1),
    [...headers, [name, value] as [string, string]],
    headers.with(index, [name, 'x']),
    headers.with(index, [name, '']),
    ...(name === 'Content-Length' ? OTHER_SIZES.map((size) => headers.with(index, [name, size])) : []),
  ])
  for (const each of [headers, headers.toReversed(), ...mutated]) {
    fixture.server.meet('HEAD', ({ response }) => void response.writeHead(200, each.flat()).end())
    const outcome = await outcomeOf(check())
    if (outcome !== 'unknown' && !hasKind('unverified')(outcome))
      expect(outcome, JSON.stringify(each)).toMatchObject({ kind: 'present' })
  }
})

it('a mutated listing states no other name, size or kind than the whole one', async () => {
  const response = (href: string, prop: string) =>
    `<response><href>${href}</href><propstat><prop>${prop}</prop><status>HTTP/1.1 200 OK</status></propstat></response>`
  const folder = '<resourcetype><collection/></resourcetype>'
  const size = '<resourcetype/><getcontentlength>7</getcontentlength>'
  const xml = `<multistatus>${response('/a/', folder)}${response('/a/b/', folder)}${response('/a/c', size)}</multistatus>`
  const elements = [...xml.matchAll(/<(\w+)>[^<]*<\/\1>|<\w+\/>/g)]
  const mutated = elements.flatMap(({ 0: element, index }) => {
    const replacing = (other: string) => xml.slice(0, index) + other + xml.slice(index + element.length)
    return [replacing(''), replacing(element + element), replacing(element.replace(/>[^<]+</, '>x<'))]
  })
  const whole = await parseMultistatus(xml, '/a/')
  const allowed = [...whole, ...whole.map((entry) => ({ ...entry, sizeBytes: null }))]
  for (const each of mutated) {
    const outcome = await outcomeOf(parseMultistatus(each, '/a/'))
    if (outcome !== 'unknown')
      for (const entry of outcome as typeof whole) expect(allowed, each).toContainEqual(entry)
  }
})

let service: TestServer
const answers = new Map<string, string>()
beforeAll(async () => {
  service = await startHttpServer((request, response) => {
    request.resume()
    const route = `${request.method} ${(request.url ?? '').split('?')[0]}`
    const body = answers.get(route)
    // Rucio states of its lists that they are streams.
    const type = route.endsWith('/list') ? 'application/x-json-stream' : 'application/json'
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': type }).end(body)
  })
})
afterAll(() => service.close())

it.each(['POST /replicas/list', 'GET /rules/r1'])(
  'a mutated answer of Rucio to %s makes no copy and loses none',
  async (mutated) => {
    const [scope = '', ...rest] = file.name.split('/')
    const did = { scope, name: rest.join('/') }
    const { sizeBytes: bytes, adler32, md5 } = file
    const recorded: Record<string, Json> = {
      'POST /replicas/list': {
        ...{ ...did, bytes, adler32, md5, pfns: {} },
        ...{ rses: { TAPE: ['davs://tape.example.org/x'] }, states: { TAPE: 'AVAILABLE' } },
      },
      'GET /rules/r1': {
        ...{ id: 'r1', ...did, account: 'daq', state: 'OK', error: null, rse_expression: 'TAPE', copies: 1 },
        ...{ expires_at: null, locks_ok_cnt: 1, locks_replicating_cnt: 0, locks_stuck_cnt: 0 },
      },
    }
    const driver = createRucioDriver({
      ...{ url: service.origin, account: 'daq', sourceRse: 'STORE', tapeRse: 'TAPE' },
      tokens: { token: async () => null, refused() {} },
    })
    await expectHonest(
      recorded[mutated] ?? null,
      (answer) => {
        for (const [route, value] of Object.entries(recorded)) answers.set(route, JSON.stringify(value))
        answers.set(mutated, answer)
        return driver.check(file, { reference: 'r1', readBack: 'if-needed' }, never)
      },
      // Another number is what Rucio has registered: the copy gets another name, and no other copy is touched.
      (outcome) =>
        hasKind('unverified', 'in-progress')(outcome) ||
        JSON.stringify(outcome).includes('Rucio knows it with'),
    )
    await driver.close()
  },
)

it.each(['FINISHED', 'FAILED', 'ACTIVE'])(
  'a mutated answer of FTS about a job that is %s makes no copy and loses none',
  async (state) => {
    const jobId = '5f0c1c1e-7a35-5d8e-9d0a-3a6f3c1b2a10'
    const destination = memoryEndpoint()
    const driver = createFtsDriver({
      ...{ url: service.origin, vo: 'cygno', archiveSeconds: 0, destination },
      tokens: { token: async () => null, refused() {} },
    })
    if (state === 'FINISHED') destination.files.set(file.name, BYTES)
    await expectHonest(
      {
        ...{ job_id: jobId, job_state: state, reason: 'no drive', retry: 0, priority: 3 },
        files: [{ file_state: state, reason: 'no drive', filesize: BYTES.length, start_time: null }],
      },
      async (answer) => {
        answers.set(`GET /jobs/${jobId}`, answer)
        const found = await driver.check(file, { reference: jobId, readBack: 'if-needed' }, never)
        return found.kind
      },
      (kind) => kind === 'in-progress',
    )
    await driver.close()
  },
)

const FTS_STATES = ['ACTIVE', 'FAILED', 'CANCELED', 'FINISHED', 'FINISHEDDIRTY', 'QOS_TRANSITION'] as const
const variants = (state: string) => [state.toLowerCase(), `${state}_`, ` ${state}`, `NOT_${state}`, '?']

it.each(FTS_STATES.flatMap((state) => variants(state).map((variant) => [state, variant] as const)))(
  'FTS states %s as %s, of the job or of its file: no copy is made again and none is counted',
  async (state, variant) => {
    const jobId = '5f0c1c1e-7a35-5d8e-9d0a-3a6f3c1b2a10'
    const driver = createFtsDriver({
      ...{ url: service.origin, vo: 'cygno', archiveSeconds: 0, destination: memoryEndpoint() },
      tokens: { token: async () => null, refused() {} },
    })
    for (const [jobState, fileState] of [
      [variant, state],
      [state, variant],
      [variant, variant],
    ]) {
      const answer = { job_id: jobId, job_state: jobState, files: [{ file_state: fileState, reason: null }] }
      answers.set(`GET /jobs/${jobId}`, JSON.stringify(answer))
      expect(await driver.check(file, { reference: jobId, readBack: 'if-needed' }, never)).toMatchObject({
        kind: 'in-progress',
        isUnknown: true,
      })
    }
    await driver.close()
  },
)

it('a job of FTS that has ended with a file that has not is no end', async () => {
  const jobId = '5f0c1c1e-7a35-5d8e-9d0a-3a6f3c1b2a10'
  const driver = createFtsDriver({
    ...{ url: service.origin, vo: 'cygno', archiveSeconds: 0, destination: memoryEndpoint() },
    tokens: { token: async () => null, refused() {} },
  })
  for (const state of ['FAILED', 'FINISHED', 'CANCELED', 'FINISHEDDIRTY']) {
    const answer = { job_id: jobId, job_state: state, files: [{ file_state: 'ACTIVE' }] }
    answers.set(`GET /jobs/${jobId}`, JSON.stringify(answer))
    expect(await driver.check(file, { reference: jobId, readBack: 'never' }, never)).toMatchObject({
      kind: 'in-progress',
      isUnknown: true,
      reason: expect.stringContaining(`is ${state}, its file ACTIVE`),
    })
  }
  await driver.close()
})

it.each([
  ['an answer for another job', 200, { job_id: '11111111-7a35-5d8e-9d0a-3a6f3c1b2a10', job_state: 'FAILED' }],
  ['a 404 that names no job', 404, { message: 'no such page' }],
])('%s of FTS says nothing about the job', async (_, status, body) => {
  const jobId = '5f0c1c1e-7a35-5d8e-9d0a-3a6f3c1b2a10'
  const other = await startHttpServer((request, response) => {
    request.resume()
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  const driver = createFtsDriver({
    ...{ url: other.origin, vo: 'cygno', archiveSeconds: 0, destination: memoryEndpoint() },
    tokens: { token: async () => null, refused() {} },
  })
  expect(await outcomeOf(driver.check(file, { reference: jobId, readBack: 'never' }, never))).toBe('unknown')
  await driver.close()
  await other.close()
})

it('a mutated answer of an IAM gives the token or none', async () => {
  await expectHonest(
    { access_token: 'abc', token_type: 'Bearer', expires_in: 3600, scope: 'storage.read:/' },
    (answer) => {
      answers.set('POST /token', answer)
      const tokenUrl = `${service.origin}/token`
      return createTokenSource({ tokenUrl, clientId: 'daq', clientSecret: 's' }).token(never)
    },
  )
})
