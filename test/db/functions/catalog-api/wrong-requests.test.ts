/** What somebody gets who asks in a wrong way: which place is wrong, and which way is right. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHandler } from '../../../../functions/catalog-api/handler.ts'
import type { HttpApp } from '../../../../shared/runtime/handler.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let app: HttpApp
beforeAll(async () => {
  context = await startTestTapeContext({ environment: { CYGNET_ANONYMOUS_SCOPES: 'read:*,link:*' } })
  app = createHandler(context)
})
afterAll(() => context?.close())

const ask = async (path: string, init: RequestInit = {}) => {
  const answer = await app.fetch(new Request(new URL(path, 'http://api'), init))
  const text = await answer.text()
  return {
    status: answer.status,
    allow: answer.headers.get('allow'),
    detail: text === '' ? null : JSON.parse(text).detail,
  }
}
const post = (body: unknown) => ({
  method: 'POST',
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
})

test.each([
  ['bogus=1', 'bogus: unknown filter'],
  ['from=abc', 'from: expected a whole number'],
  ['limit=5&limit=6', 'limit: expected one value, not several'],
  ['complete=maybe', 'complete: expected one of 0, 1, true, false'],
  ['text=', 'text: expected a text'],
  ['param.GEM1_V=high', 'param.GEM1_V: expected a number'],
  ['from=a&to=b', 'from: expected a whole number; to: expected a whole number'],
])('runs?%s is refused: %s', async (query, detail) => {
  expect(await ask(`/api/v1/runs?${query}`)).toMatchObject({ status: 400, detail })
})

test.each<[unknown, string]>([
  [{ runs: [{ tag: 'LNGS' }] }, 'runs[0].run: missing'],
  [{ runs: [{ tag: 'LNGS', run: '5' }] }, 'runs[0].run: expected a number'],
  [{ runs: 'LNGS' }, 'runs: expected an array'],
  [{ runs: [{ tag: 'LNGS', run: 5, subrun: 1 }] }, 'runs[0]: unknown field subrun'],
  [{ runs: [{ tag: 'LNGS', run: 5 }], seconds: 0 }, 'seconds: expected at least 1'],
  [
    { runs: Array.from({ length: 1001 }, (_, run) => ({ tag: 'LNGS', run })) },
    'runs: expected at most 1000 entries',
  ],
  [{ runs: [{ tag: 'LNGS', run: 1.5 }] }, 'runs[0].run: expected a whole number'],
  [[], 'expected an object'],
  [{}, 'name at least one run or file'],
])('links for %j are refused: %s', async (body, detail) => {
  expect(await ask('/api/v1/links', post(body))).toMatchObject({ status: 400, detail })
})

test('a body that is no JSON by its type is refused with the type that it should have', async () => {
  const { status, detail } = await ask('/api/v1/links', { method: 'POST', body: 'runs=5' })
  expect([status, detail]).toEqual([415, expect.stringContaining('Content-Type: application/json')])
})

test.each([
  ['POST', '/api/v1/runs', 'GET, HEAD, OPTIONS'],
  ['DELETE', '/api/v1/runs/FLASH%2F2024/5', 'GET, HEAD, OPTIONS'],
  ['GET', '/api/v1/links', 'OPTIONS, POST'],
  ['PUT', '/cygno_sql_query.php', 'GET, HEAD, OPTIONS'],
  ['DELETE', '/v1/AUTH_x/cygno-data/LNGS/run00005.mid.gz', 'GET, HEAD, OPTIONS'],
])('%s %s is answered with the methods that there are: %s', async (method, path, allow) => {
  expect(await ask(path, { method })).toMatchObject({
    status: 405,
    allow,
    detail: expect.stringContaining(method),
  })
  expect(await ask(path, { method: 'OPTIONS' })).toEqual({ status: 204, allow, detail: null })
})

test.each(['GET', 'POST', 'OPTIONS'])('%s of what there is not stays not found', async (method) => {
  expect(await ask('/api/v1/nothing', { method })).toMatchObject({ status: 404, allow: null })
})
