import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerCopies } from '../../../../functions/catalog-api/api/copies.ts'
import { registerHealth } from '../../../../functions/catalog-api/api/health.ts'
import { registerLinks } from '../../../../functions/catalog-api/api/links.ts'
import { registerMe } from '../../../../functions/catalog-api/api/me.ts'
import { registerQueues } from '../../../../functions/catalog-api/api/queues.ts'
import { registerReplicaSummary } from '../../../../functions/catalog-api/api/replicas.ts'
import { registerRun } from '../../../../functions/catalog-api/api/run.ts'
import { registerRuns } from '../../../../functions/catalog-api/api/runs.ts'
import { registerSessions } from '../../../../functions/catalog-api/api/sessions.ts'
import { registerUploads } from '../../../../functions/catalog-api/api/uploads.ts'
import { API_INFO, registerReference } from '../../../../functions/catalog-api/reference/reference.ts'
import { ANONYMOUS, type RestApp, restApp } from '../../../support/functions/catalog-api/rest-app.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let app: RestApp
beforeAll(async () => {
  context = await startTestTapeContext()
  app = restApp(
    context,
    registerRuns,
    registerRun,
    registerLinks,
    registerReplicaSummary,
    registerQueues,
    registerHealth,
    registerUploads,
    (api) => registerCopies(api, async () => null),
    (api, { config }) => registerMe(api, config),
    registerSessions,
    (api) =>
      registerReference(api, { browser: null, logFolder: null, live: { lastsSeconds: 1, pollMs: 1000 } }),
  )
})
afterAll(() => context.close())

interface Operation {
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly security?: unknown
  readonly parameters?: readonly {
    readonly name: string
    readonly description?: string
    readonly schema?: { readonly type?: string; readonly description?: string }
  }[]
  readonly responses: Record<
    string,
    { readonly description: string; readonly content?: Record<string, { readonly schema?: object }> }
  >
}
const operations = () => {
  const { paths = {} } = app.api.app.getOpenAPI31Document({ openapi: '3.1.0', info: API_INFO })
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item as Record<string, Operation>).map(([method, operation]) => ({
      name: `${method} ${path}`,
      operation,
    })),
  )
}

describe('the description of the API', () => {
  test('has every route of it, each with a rule', () => {
    expect(operations().map(({ name }) => name)).toEqual([
      'get /api/v1/runs',
      'get /api/v1/runs/{tag}/{run}',
      'get /api/v1/runs/{tag}/{run}/files',
      'patch /api/v1/runs/{tag}/{run}/parameters',
      'get /api/v1/runs/{tag}/{run}/links',
      'post /api/v1/links',
      'post /api/v1/runs/{tag}/{run}/recall',
      'get /api/v1/replicas/summary',
      'get /api/v1/queues',
      'get /api/v1/dead/{queue}',
      'post /api/v1/dead/{queue}/{id}/retry',
      'post /api/v1/dead/{queue}/{id}/dismiss',
      'get /healthz',
      'get /readyz',
      'get /api/v1/upload-settings',
      'post /api/v1/uploads/sign',
      'get /api/v1/files/{bucket}/{key}/copies',
      'get /api/v1/me',
      'get /api/v1/sign-in-settings',
      'delete /api/v1/sessions',
    ])
    const ruled = app.api.rules.map(
      ({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, '{$1}')}`,
    )
    expect(ruled).toEqual(expect.arrayContaining(operations().map(({ name }) => name)))
  })

  test('describes the purpose, the answers and the refusals of each', () => {
    for (const { name, operation } of operations()) {
      expect(operation.summary, name).toMatch(/\w/)
      const answers = Object.entries(operation.responses)
      for (const [status, { description, content = {} }] of answers) {
        expect(description, name).toMatch(/\w/)
        if (status !== '304' && status !== '204')
          expect(Object.values(content)[0]?.schema, `${name} ${status}`).toBeDefined()
      }
      if (operation.security === undefined) continue
      expect(
        answers.map(([status]) => status),
        name,
      ).toEqual(expect.arrayContaining(['400', '401', '403', '429', '503']))
      expect(operation.responses[403]?.content, name).toHaveProperty('application/problem+json')
    }
  })

  test('puts every route into a group', () => {
    for (const { name, operation } of operations()) expect(operation.tags, name).toHaveLength(1)
  })

  test('has only patterns that other languages read: JSON Schema has no flags', () => {
    const text = JSON.stringify(app.api.app.getOpenAPI31Document({ openapi: '3.1.0', info: API_INFO }))
    const patterns = [...text.matchAll(/"pattern":("(?:[^"\\\\]|\\\\.)*")/g)].map(
      ([, pattern = '""']) => JSON.parse(pattern) as string,
    )
    for (const pattern of patterns) expect(pattern).not.toMatch(/^\/|\/[a-z]+$|\\p\{/)
  })

  test('describes every parameter', () => {
    for (const { name, operation } of operations())
      for (const { name: parameter, schema, description } of operation.parameters ?? [])
        expect(description ?? schema?.description, `${parameter} of ${name}`).toMatch(/\w/)
  })

  test('names every filter of runs with its type', () => {
    const [{ operation } = { operation: undefined }] = operations()
    const types = new Map(operation?.parameters?.map(({ name, schema }) => [name, schema?.type]))
    expect([
      types.get('from'),
      types.get('complete'),
      types.get('tag'),
      types.get('param.GEM1_V'),
      types.get('param.start_time'),
    ]).toEqual(['integer', 'boolean', 'array', 'number', 'string'])
    for (const { name, schema } of operation?.parameters ?? [])
      expect(schema?.description, name).toMatch(/\w/)
  })
})

describe('the reference page', () => {
  test('is open to everyone, names every route and schema, and loads nothing from elsewhere', async () => {
    const { status, headers, text } = await app.get('/api/v1', ANONYMOUS)
    expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=UTF-8'])
    for (const { name } of operations())
      expect(text).toContain(`">${name.split(' ')[0]?.toUpperCase()}</b> ${name.split(' ')[1]}`)
    expect(text).toContain('id="schema-RunDetails"')
    expect(text).not.toMatch(
      /<script(?! type="module" src="\/assets\/)|<style|style=|onclick|src="http|href="http/,
    )
    expect(Buffer.byteLength(text)).toBeLessThan(150_000)
  })

  test('looks like the other pages, and shows what is code in a sentence as code', async () => {
    const { text } = await app.get('/api/v1', ANONYMOUS, { cookie: 'theme=underground' })
    expect(text).toContain('data-theme="underground"')
    expect(text).toMatch(/<link rel="stylesheet" href="\/assets\/\w+\/style\.css">/)
    expect(text).toContain('<code>Authorization: Bearer …</code>')
    expect(text.replaceAll(/<pre[^>]*>[^<]*<\/pre>/g, '')).not.toContain('`')
  })

  test('has no link that leads nowhere', async () => {
    const { text } = await app.get('/api/v1', ANONYMOUS)
    const ids = new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))
    expect(ids.size).toBe([...text.matchAll(/ id="/g)].length)
    for (const [, target] of text.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target)
  })

  test('has a line to paste for each, which asks the route that it stands with', async () => {
    const { text } = await app.get('/api/v1', ANONYMOUS)
    const lines = [...text.matchAll(/<pre id="[^"]*-curl"[^>]*>(curl [^<]*)<\/pre>/g)].map(([, line = '']) =>
      line.replaceAll('&quot;', '"').replaceAll('&#39;', "'"),
    )
    expect(lines).toHaveLength(operations().length)
    expect(lines).toContain(
      'curl -H "Authorization: Bearer $CYGNET_API_TOKEN" "$CYGNET_API_URL/api/v1/runs/LNGS/12345"',
    )
    for (const line of lines) {
      const path = /\$CYGNET_API_URL([^"]*)/.exec(line)?.[1] ?? ''
      const method = /-X (\w+)/.exec(line)?.[1] ?? (line.includes(' -d ') ? 'POST' : 'GET')
      const body = / -d '([^']*)'/.exec(line)?.[1]
      const headers = { 'content-type': 'application/json' }
      const { status } = await app.api.app.request(path, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
      })
      // Nobody in particular asks: what is not open is refused for that, and for nothing else.
      expect([200, 401, 403, 503], line).toContain(status)
    }
  })

  test('the document may be cached, and is not sent again to a client that has it', async () => {
    const { status, headers, text } = await app.get('/api/v1/openapi.json', ANONYMOUS)
    expect([status, headers.get('cache-control')]).toEqual([200, 'public, no-cache'])
    expect(text.length).toBeGreaterThan(100)
    const etag = headers.get('etag') ?? ''
    const again = await app.get('/api/v1/openapi.json', ANONYMOUS, { 'if-none-match': etag })
    expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag])
    const other = { 'if-none-match': '"of another version"' }
    expect((await app.get('/api/v1/openapi.json', ANONYMOUS, other)).status).toBe(200)
  })
})
