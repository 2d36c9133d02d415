/**
 * Every parameter of every query, as the API's own document lists them, with values at the edge of numbers,
 * times and texts: each is answered or refused with a sentence, and none is an error of ours.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createApi } from '../../../../functions/catalog-api/app.ts'
import type { Api } from '../../../../functions/catalog-api/http/route.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const EDGES = [
  ...['', ' ', '0', '-0', '-1', '+1', '1.5', '.5', '1e3', '0x10', '1_000', '١٢', 'NaN', 'Infinity', 'null'],
  ...['2147483648', '4294967295', '4294967296', '9007199254740993', '18446744073709551616', '9'.repeat(30)],
  ...['1e308', '1.7976931348623157e308', '-1.7976931348623157e308', '1e309', '-1e309', '5e-324', '1e-400'],
  ...['0000-00-00', '0000-01-01', '0001-01-01', '1000-01-01', '9999-12-31', '9999-12-31T23:59:59.999999999Z'],
  ...['9999-12-31T23:59-23:59', '0000-01-01T00:00+23:59', '+275760-09-13', '+275761-01-01', '2024-02-30'],
  ...['2024-05-31T24:00', '2024-05-31T12:00:60Z', '-271821-04-20', '1e9999', '2024-05-31T12:00+99:99'],
  ...[
    '\0',
    'a\0b',
    '\uFFFE',
    '\uFFFF',
    '\u{10FFFF}',
    '\u202E',
    '%',
    '_',
    "'",
    '\\',
    '\r\n',
    'x'.repeat(20_000),
  ],
  ...['true', 'TRUE', '[]', '{}', '$ne', '1,2', '1..2', '../..'],
]
/** Also not well-formed: a lone surrogate, bytes that are no UTF-8. */
const RAW_EDGES = ['%ED%A0%80', '%FF', '%C0%80', '%', '%00']
const OPERATORS = ['ne', 'lt', 'lte', 'gt', 'gte']

let context: TestTapeContext
let api: Api
let secret: string
beforeAll(async () => {
  context = await startTestTapeContext({ environment: { CYGNET_REQUESTS_PER_MINUTE: '0' } })
  api = createApi(context)
  await context.putRun('LNGS/run00001.mid.gz', 'the bytes of a run')
  const scopes = ['read:*', 'link:*', 'recall:*', 'operate:*', 'overwrite:*']
  secret = (await createToken(context.database, { name: 'all', scopes, days: 1 }, context.now())).secret
})
afterAll(() => context?.close())

const ask = async (path: string, accept = 'application/json', more: RequestInit = {}) => {
  const headers = { authorization: `Bearer ${secret}`, accept, 'content-type': 'application/json' }
  const answer = await api.app.request(path, { headers, ...more })
  return { path: path.slice(0, 200), status: answer.status, text: await answer.text() }
}
const isOurs = ({ status }: { readonly status: number }) => status >= 500

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[]
}

/** Addresses of every GET with one edge value in one parameter. */
async function addresses(): Promise<readonly string[]> {
  const { paths } = JSON.parse((await ask('/api/v1/openapi.json')).text) as {
    readonly paths: Readonly<Record<string, { readonly get?: Operation }>>
  }
  const known: Readonly<Record<string, string>> = { tag: 'LNGS', run: '1', bucket: context.bucket }
  const values = [...EDGES.map(encodeURIComponent), ...RAW_EDGES]
  return Object.entries(paths).flatMap(([path, { get }]) => {
    const parameters = get?.parameters ?? []
    const fill = (name = '', value = '') =>
      path.replaceAll(/\{(\w+)\}/g, (_, each: string) => (each === name ? value : (known[each] ?? '1')))
    const names = parameters.flatMap(({ name, in: place }) => {
      if (place !== 'query') return []
      return name === 'param.exposure_sec'
        ? [name, ...OPERATORS.map((operator) => `${name}.${operator}`)]
        : [name]
    })
    // All columns of the Runlog are compared in the same way: some of each kind are enough.
    const isTried = (name: string, index: number) =>
      !name.startsWith('param.') || index % 20 === 0 || /exposure/.test(name)
    return [
      ...names
        .filter(isTried)
        .flatMap((name) => values.map((value) => `${fill()}?${encodeURIComponent(name)}=${value}`)),
      ...parameters
        .filter((parameter) => parameter.in === 'path')
        .flatMap(({ name }) => values.filter((value) => value !== '').map((value) => fill(name, value))),
    ]
  })
}

test('no value of a parameter in the API’s document is an error of the service', {
  tags: ['long'],
}, async () => {
  const all = await addresses()
  expect(all.length).toBeGreaterThan(1000)
  const failed: unknown[] = []
  for (const path of all) {
    const answer = await ask(path)
    if (isOurs(answer)) failed.push([answer.path, answer.status])
    else if (answer.status === 400) expect(JSON.parse(answer.text).detail, answer.path).toMatch(/\w/)
  }
  expect(failed).toEqual([])
})

/** Bodies with which a request that changes something reaches its parameters; `{}` for all others. */
const BODIES: Readonly<Record<string, object>> = {
  '/deletions': { sha256: 'a'.repeat(64), sizeBytes: 1, host: 'all', path: '/data/run.mid.gz' },
  '/deletions/:id{[0-9]+}': { host: 'all', gone: true },
  '/local-copies': {
    sha256: 'a'.repeat(64),
    sizeBytes: 1,
    host: 'all',
    path: '/data/run.mid.gz',
    there: true,
  },
  '/parameters': { parameters: { GEM1_V: 440 }, reason: 'mistyped' },
}
const bodyFor = (path: string) =>
  JSON.stringify(Object.entries(BODIES).find(([end]) => path.endsWith(end))?.[1] ?? {})

/** Every parameter in the path of every request that changes something, with these values. */
function changes(values: readonly string[]) {
  const known: Readonly<Record<string, string>> = {
    bucket: context.bucket,
    key: 'LNGS%2Frun00001.mid.gz',
    tag: 'LNGS',
    queue: 'runs',
  }
  return api.rules.flatMap(({ method, path }) => {
    if (method === 'GET') return []
    const fill = (name: string, value: string) =>
      path.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, (_, each: string) =>
        each === name ? value : (known[each] ?? '1'),
      )
    return [...path.matchAll(/:(\w+)/g)].flatMap(([, name = '']) =>
      values.map((value) => ({ method, path: fill(name, value), body: bodyFor(path) })),
    )
  })
}

const failing = async (requests: ReturnType<typeof changes>) => {
  const failed: unknown[] = []
  for (const { path, ...request } of requests) {
    const answer = await ask(path, undefined, request)
    if (isOurs(answer)) failed.push([request.method, answer.path, answer.status])
  }
  return failed
}

test('no number in the path of a request that changes something is an error of the service', async () => {
  const requests = changes(['0', '18446744073709551616', '9'.repeat(400)])
  expect(requests.length).toBeGreaterThan(30)
  expect(await failing(requests)).toEqual([])
})

test('nor is any other value', { tags: ['long'] }, async () => {
  const values = [...EDGES.filter((value) => value !== '').map(encodeURIComponent), ...RAW_EDGES]
  expect(await failing(changes(values))).toEqual([])
})

test.each([
  '/api/v1/runs?param.exposure_sec=1.7976931348623157e308',
  '/api/v1/runs?param.exposure_sec.gte=-1.7976931348623157e308',
  '/api/v1/runs?limit=999999999999999999999999999999',
])('a number that the catalogue cannot compare is refused: %s', async (path) => {
  expect((await ask(path)).status).toBe(400)
})

test.each(['run', 'start', 'end', 'offset', 'limit', 'site', 'tag', 'since', 'until', 'cursor', 'sort'])(
  'no value of %s is an error of the pages or the endpoint of the old tools',
  { tags: ['long'] },
  async (name) => {
    const failed: unknown[] = []
    for (const value of [...EDGES.map(encodeURIComponent), ...RAW_EDGES])
      for (const path of ['/runs', '/replicas', '/queues', '/php_tool/sql_query.php', '/']) {
        const answer = await ask(`${path}?${name}=${value}`, 'text/html')
        if (isOurs(answer)) failed.push([answer.path, answer.status])
      }
    expect(failed).toEqual([])
  },
)
