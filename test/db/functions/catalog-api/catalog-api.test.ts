/** The API: who is let in, what is signed for whom, and what is said about copies. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { HTTPException } from 'hono/http-exception'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  allowedRequest,
  type RequestToSign,
} from '../../../../functions/catalog-api/access/allowed-request.ts'
import { createHandler } from '../../../../functions/catalog-api/handler.ts'
import { createToken, listTokens, revokeTokens } from '../../../../shared/access/tokens.ts'
import { contentOf, requestTapeReplica } from '../../../../shared/catalogue/replicas.ts'
import { createLogger } from '../../../../shared/log.ts'
import { parseRunKey } from '../../../../shared/run.ts'
import { record } from '../../../support/catalogue.ts'
import { metadataOf } from '../../../support/metadata.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const DAY_MS = 86_400_000
const KEY = 'LNGS/run12345.mid.gz'
const RULES = { buckets: ['cygno-data'], scopes: ['push:LNGS'], host: 'store:9000', basePath: '' }

const put = (changes: Partial<RequestToSign> = {}): RequestToSign => ({
  method: 'PUT',
  path: `/cygno-data/${KEY}`,
  query: {},
  headers: { host: 'store:9000', 'if-none-match': '*' },
  ...changes,
})

describe('of the requests to the store, only those that send a run of the token are signed', () => {
  it.each<[string, Partial<RequestToSign>]>([
    ['HeadObject', { method: 'HEAD', headers: { host: 'store:9000', 'x-amz-checksum-mode': 'ENABLED' } }],
    ['PutObject', { query: { 'x-id': 'PutObject' } }],
    [
      'CreateMultipartUpload',
      { method: 'POST', query: { uploads: '' }, headers: { 'x-amz-meta-md5': 'ab', 'content-length': '0' } },
    ],
    [
      'UploadPart',
      {
        query: { partNumber: '10000', uploadId: 'u/+=', 'x-id': 'UploadPart' },
        headers: { 'content-length': '5' },
      },
    ],
    [
      'ListParts',
      { method: 'GET', query: { uploadId: 'u', 'max-parts': '1000', 'part-number-marker': '7' } },
    ],
    ['CompleteMultipartUpload', { method: 'POST', query: { uploadId: 'u' } }],
    ['AbortMultipartUpload', { method: 'DELETE', query: { uploadId: 'u' } }],
  ])('%s is', (operation, changes) => {
    expect(allowedRequest(put(changes), RULES)).toEqual({ operation, bucket: 'cygno-data', key: KEY })
  })

  it.each(['/cygno-data', '/cygno-data/'])('asking whether the bucket %s is there is', (path) => {
    expect(allowedRequest({ method: 'HEAD', path, query: {}, headers: {} }, RULES)).toMatchObject({
      operation: 'HeadBucket',
      key: null,
    })
  })

  it('below the path of the address of the store too', () => {
    const rules = { ...RULES, basePath: '/minio' }
    expect(allowedRequest(put({ path: `/minio/cygno-data/${KEY}` }), rules).key).toBe(KEY)
    expect(() => allowedRequest(put(), rules)).toThrow(/path/)
    expect(() => allowedRequest(put({ path: `/minio-2/cygno-data/${KEY}` }), rules)).toThrow(/path/)
  })

  it.each<[string, Partial<RequestToSign>]>([
    ['reading an object', { method: 'GET' }],
    ['deleting an object', { method: 'DELETE' }],
    ['deleting a version', { method: 'DELETE', query: { versionId: 'v' } }],
    ['deleting with both', { method: 'DELETE', query: { uploadId: 'u', versionId: 'v' } }],
    ['deleting many', { method: 'POST', path: '/cygno-data/', query: { delete: '' } }],
    ['listing the bucket', { method: 'GET', path: '/cygno-data/', query: { 'list-type': '2' } }],
    ['listing uploads', { method: 'GET', path: '/cygno-data/', query: { uploads: '' } }],
    ['making a bucket', { path: '/cygno-data' }],
    ['deleting the bucket', { method: 'DELETE', path: '/cygno-data/' }],
    ['listing all buckets', { method: 'GET', path: '/' }],
    ['writing without a condition', { headers: { host: 'store:9000' } }],
    ['another condition', { headers: { 'if-none-match': '"abc"' } }],
    ['completing without a condition', { method: 'POST', query: { uploadId: 'u' }, headers: {} }],
    [
      'copying another object',
      { headers: { 'if-none-match': '*', 'x-amz-copy-source': '/cygno-data/LNF/run1.mid' } },
    ],
    [
      'copying into a part',
      { query: { partNumber: '1', uploadId: 'u' }, headers: { 'x-amz-copy-source': '/b/k' } },
    ],
    ['making it public', { headers: { 'if-none-match': '*', 'x-amz-acl': 'public-read' } }],
    ['setting its ACL', { query: { acl: '' } }],
    ['setting tags', { query: { tagging: '' } }],
    ['a retention', { headers: { 'if-none-match': '*', 'x-amz-object-lock-mode': 'GOVERNANCE' } }],
    [
      'having an archive unpacked',
      { headers: { 'if-none-match': '*', 'x-amz-meta-snowball-auto-extract': 'true' } },
    ],
    [
      'having it unpacked elsewhere',
      { headers: { 'if-none-match': '*', 'x-amz-meta-minio-snowball-prefix': 'LNF' } },
    ],
    ['a condition of a copy', { headers: { 'if-none-match': '*', 'x-amz-copy-source-if-match': '"a"' } }],
    ['another method in a header', { headers: { 'if-none-match': '*', 'x-http-method-override': 'DELETE' } }],
    ['a header in capitals', { headers: { 'If-None-Match': '*' } }],
    [
      'a header with a line break',
      { headers: { 'if-none-match': '*', 'x-amz-meta-md5': 'a\r\nx-amz-acl: public-read' } },
    ],
    ['another host', { headers: { 'if-none-match': '*', host: 'elsewhere' } }],
    ['a part of number 0', { query: { partNumber: '0', uploadId: 'u' } }],
    ['a part of number 10001', { query: { partNumber: '10001', uploadId: 'u' } }],
    ['a part without an upload', { query: { partNumber: '1' } }],
    ['an empty upload id', { query: { partNumber: '1', uploadId: '' } }],
    ['a parameter in other letters', { method: 'DELETE', query: { uploadid: 'u' } }],
    ['a name of another operation', { query: { 'x-id': 'DeleteObject' } }],
    ['a presigned query', { query: { 'X-Amz-Signature': 'ab' } }],
    ['a query in the path', { path: `/cygno-data/${KEY}?acl` }],
    ['a lower-case method', { method: 'put' }],
    ['another bucket', { path: `/other-bucket/${KEY}` }],
    ['a bucket that is encoded', { path: `/cygno%2Ddata/${KEY}` }],
    ['another tag', { path: '/cygno-data/LNF/run12345.mid.gz' }],
    ['a tag below the tag', { path: '/cygno-data/LNGS/sub/run12345.mid.gz' }],
    ['a tag in other letters', { path: '/cygno-data/lngs/run12345.mid.gz' }],
    ['a key that is no run', { path: '/cygno-data/LNGS/notes.txt' }],
    ['a run at the top', { path: '/cygno-data/run12345.mid.gz' }],
    ['two dots', { path: '/cygno-data/LNGS/../LNF/run12345.mid.gz' }],
    ['two encoded dots', { path: '/cygno-data/LNGS/%2e%2e/LNF/run12345.mid.gz' }],
    ['two dots before the bucket', { path: `/cygno-data/../other-bucket/${KEY}` }],
    ['an encoded slash', { path: '/cygno-data/LNGS%2Frun12345.mid.gz' }],
    ['letters encoded without need', { path: '/cygno-data/LNG%53/run12345.mid.gz' }],
    ['an encoding in lower case', { path: '/cygno-data/a%c3%a9/run12345.mid.gz' }],
    ['a key encoded twice', { path: '/cygno-data/LNGS%252Frun12345.mid.gz' }],
    ['two slashes', { path: `/cygno-data//${KEY}` }],
    ['two slashes at the start', { path: `//cygno-data/${KEY}` }],
    ['a slash at the end', { path: `/cygno-data/${KEY}/` }],
    ['a null byte', { path: '/cygno-data/LNGS/run12345.mid.gz%00' }],
    ['a broken escape', { path: '/cygno-data/LNGS/run1%zz.mid' }],
    ['no path', { path: '' }],
    ['a whole address', { path: `http://elsewhere/cygno-data/${KEY}` }],
  ])('%s is not', (_, changes) => {
    expect(() => allowedRequest(put(changes), RULES)).toThrow()
  })

  it.each(['constructor', '__proto__', 'toString', 'valueOf'])(
    'a header %s is refused as any other',
    (name) => {
      const headers = Object.fromEntries([[name, 'x']])
      expect(() => allowedRequest(put({ headers }), RULES)).toThrow(HTTPException)
      expect(() => allowedRequest(put({ query: headers }), RULES)).toThrow(HTTPException)
    },
  )

  it('writing over an object is, for a token of that scope', () => {
    const rules = { ...RULES, scopes: ['overwrite:LNGS'] }
    expect(allowedRequest(put({ headers: {} }), rules).operation).toBe('PutObject')
    expect(() => allowedRequest(put({ headers: {}, path: '/cygno-data/LNF/run1.mid' }), rules)).toThrow()
  })

  it('whatever the request, what is allowed is a run of the tag in the bucket', () => {
    const piece = fc.constantFrom(
      'cygno-data',
      'LNGS',
      'LNF',
      '..',
      '.',
      '',
      '%2e%2e',
      '%2F',
      'run1.mid',
      'run1.mid.gz',
      '%',
      '?acl',
      '#',
    )
    const query = fc.dictionary(
      fc.constantFrom('uploads', 'uploadId', 'partNumber', 'acl', 'delete', 'versionId', 'x-id'),
      fc.string(),
    )
    const request = fc.record({
      method: fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH'),
      path: fc.array(piece, { maxLength: 6 }).map((pieces) => `/${pieces.join('/')}`),
      query: fc.oneof(fc.constant({}), query),
      headers: fc.constantFrom<Record<string, string>>({}, { 'if-none-match': '*' }),
    })
    fc.assert(
      fc.property(request, (tried) => {
        let allowed: ReturnType<typeof allowedRequest>
        try {
          allowed = allowedRequest(tried, RULES)
        } catch {
          return
        }
        expect(
          Object.keys(tried.query).filter(
            (name) => !['uploads', 'uploadId', 'partNumber', 'x-id'].includes(name),
          ),
        ).toEqual([])
        if (allowed.key === null) {
          expect(tried).toMatchObject({ method: 'HEAD', path: expect.stringMatching(/^\/cygno-data\/?$/) })
        } else {
          expect(tried.path).toBe(`/cygno-data/${allowed.key}`)
          expect(parseRunKey(allowed.key)?.tag).toBe('LNGS')
        }
      }),
      { numRuns: 3000 },
    )
  })
})

describe('the API', () => {
  let context: TestTapeContext
  const lines: string[] = []
  const api = () =>
    createHandler({
      ...context,
      log: createLogger({
        function: 'test',
        level: 'debug',
        destination: { write: (line) => lines.push(line) },
      }),
    })
  const token = async (scopes = ['push:LNGS'], days = 1, at = new Date()) =>
    (await createToken(context.database, { name: 'daq-lngs', scopes, days }, at)).secret
  const ask = async (
    path: string,
    secret: string | null,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => {
    const method = body === undefined ? 'GET' : 'POST'
    const authorization: Record<string, string> = secret === null ? {} : { authorization: `Bearer ${secret}` }
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const all = { 'content-type': 'application/json', ...authorization, ...headers }
    const answer = await api().fetch(
      new Request(`http://api${path}`, {
        method,
        headers: all,
        ...(body === undefined ? {} : { body: text }),
      }),
    )
    return {
      status: answer.status,
      headers: answer.headers,
      json: (await answer.json()) as Record<string, unknown>,
    }
  }
  const signing = (changes: Partial<RequestToSign> = {}) => ({
    ...put({ headers: { 'if-none-match': '*' } }),
    path: `/${context.bucket}/${KEY}`,
    ...changes,
  })

  beforeAll(async () => {
    context = await startTestTapeContext()
  })
  afterAll(() => context?.close())

  it.each<[string, () => Promise<string | null>, RegExp]>([
    ['no token', async () => null, /API token/],
    ['a token nobody made', async () => `cyg_${randomBytes(32).toString('base64url')}`, /unknown/],
    ['something else', async () => 'x'.repeat(5000), /unknown/],
    [
      'an expired token',
      () => token(['push:LNGS'], 1, new Date(Date.now() - 2 * DAY_MS)),
      /"daq-lngs" expired on \d{4}-\d\d-\d\d/,
    ],
    [
      'a revoked token',
      async () => {
        const { id, secret } = await createToken(
          context.database,
          { name: 'gone', scopes: ['push:LNGS'], days: 1 },
          new Date(),
        )
        expect(await revokeTokens(context.database, String(id), new Date())).toBe(1)
        return secret
      },
      /"gone" was revoked/,
    ],
  ])('answers 401 to %s', async (_, secret, detail) => {
    for (const [path, body] of [
      ['/api/v1/upload-settings', undefined],
      ['/api/v1/uploads/sign', signing()],
    ] as const) {
      const answer = await ask(path, await secret(), body)
      expect(answer.status).toBe(401)
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/)
      expect(answer.json).toMatchObject({
        type: 'about:blank',
        title: 'Unauthorized',
        status: 401,
        detail: expect.stringMatching(detail),
      })
    }
  })

  it('keeps no secret: neither in the catalogue nor in a log line', async () => {
    const secret = await token()
    await ask('/api/v1/uploads/sign', secret, signing())
    await ask('/api/v1/uploads/sign', secret, signing({ path: '/cygno-data/x' }))
    const rows = JSON.stringify(await listTokens(context.database))
    expect(rows).toContain('daq-lngs')
    for (const text of [rows, lines.join('')])
      for (const hidden of [secret, secret.slice(4)]) expect(text).not.toContain(hidden)
    expect(lines.join('')).toContain('upload-signed')
    expect(lines.join('')).not.toMatch(/Signature=|AWS4-HMAC/)
  })

  it('notes when a token was last used', async () => {
    const { id, secret } = await createToken(
      context.database,
      { name: 'used', scopes: ['push:LNGS'], days: 1 },
      new Date(),
    )
    const used = async () => (await listTokens(context.database)).find((row) => row.id === id)?.lastUsedAt
    expect(await used()).toBeNull()
    const before = Date.now()
    await ask('/api/v1/upload-settings', secret)
    const at = (await used())?.getTime() ?? 0
    expect(at).toBeGreaterThanOrEqual(before - 1000)
    expect(at).toBeLessThanOrEqual(Date.now() + 1000)
  })

  it('returns where the store is, and the tags of the token', async () => {
    const { status, json } = await ask('/api/v1/upload-settings', await token(['push:LNGS', 'overwrite:LNF']))
    expect(status).toBe(200)
    expect(json).toEqual({
      endpoint: context.config.store.endpoint,
      region: context.config.store.region,
      buckets: [context.bucket],
      sdkChecksums: 'WHEN_REQUIRED',
      tags: ['LNGS', 'LNF'],
      overwriteTags: ['LNF'],
    })
  })

  it('signs a request that the store takes, once, as it was signed', async () => {
    const { status, json } = await ask('/api/v1/uploads/sign', await token(), signing())
    expect(status).toBe(200)
    const { headers } = json as { readonly headers: Record<string, string> }
    const url = `${context.config.store.endpoint}/${context.bucket}/${KEY}`
    const send = (changes: Record<string, string | undefined>, to = url) => {
      const all = Object.entries({ ...headers, 'if-none-match': '*', ...changes }).filter(
        ([, value]) => value !== undefined,
      )
      return fetch(to, { method: 'PUT', body: 'a run', headers: all as [string, string][] })
    }
    expect((await send({ 'if-none-match': undefined })).status).toBe(403)
    expect((await send({}, url.replace('run12345', 'run12346'))).status).toBe(403)
    expect((await send({}, `${url}?acl`)).status).toBe(403)
    expect((await send({})).status).toBe(200)
    expect((await send({})).status).toBe(412)
  })

  it('what a signed PUT was not asked to be, it cannot be made by a header that is added', async () => {
    const { json } = await ask(
      '/api/v1/uploads/sign',
      await token(),
      signing({ path: `/${context.bucket}/LNGS/run00900.mid.gz` }),
    )
    const { headers } = json as { readonly headers: Record<string, string> }
    const signed = /SignedHeaders=([^,]*)/.exec(headers.authorization ?? '')?.[1]?.split(';')
    expect(signed).toEqual(
      expect.arrayContaining([
        'if-none-match',
        'x-amz-copy-source-if-match',
        'x-amz-copy-if-match',
        'x-amz-meta-snowball-auto-extract',
      ]),
    )
    const url = `${context.config.store.endpoint}/${context.bucket}/LNGS/run00900.mid.gz`
    const send = (changes: Record<string, string>) =>
      fetch(url, { method: 'PUT', body: 'a run', headers: { ...headers, 'if-none-match': '*', ...changes } })
    expect((await send({ 'x-amz-meta-snowball-auto-extract': 'true' })).status).toBe(403)
    expect((await send({ 'x-amz-copy-source-if-match': '*' })).status).toBe(403)
    expect((await send({})).status).toBe(200)
  })

  it('no answer is cached, and no browser guesses its type', async () => {
    for (const answer of [
      await ask('/api/v1/uploads/sign', await token(), signing()),
      await ask('/api/v1/uploads/sign', await token(), signing({ method: 'DELETE' })),
      await ask('/api/v1/upload-settings', null),
      await ask('/api/v1/nothing', await token()),
      await ask('/api/v1/uploads/sign', await token(), 'x'.repeat(70_000)),
    ]) {
      expect(answer.headers.get('cache-control')).toBe('no-store')
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
      expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    }
  })

  it.each<[string, unknown, number]>([
    ['another tag', { path: '/BUCKET/LNF/run1.mid' }, 403],
    ['a deletion', { method: 'DELETE' }, 403],
    ['a method of no text', { method: 7 }, 400],
    ['a query of lists', { query: { uploadId: ['a', 'b'] } }, 400],
    ['more than is asked for', { bucket: 'x' }, 400],
  ])('refuses %s as a problem', async (_, changes, status) => {
    const request = { ...signing(), ...(changes as object) }
    const answer = await ask('/api/v1/uploads/sign', await token(), {
      ...request,
      path: String(request.path).replace('BUCKET', context.bucket),
    })
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.json).toMatchObject({
      type: 'about:blank',
      status,
      title: expect.any(String),
      detail: expect.stringMatching(/\w/),
    })
    expect(JSON.stringify(answer.json)).not.toMatch(/Signature|stack/)
  })

  it.each<[string, string, Record<string, string>, number]>([
    ['no JSON', '{"method":', {}, 400],
    ['an empty body', '', {}, 400],
    ['another type', '<x/>', { 'content-type': 'text/xml' }, 415],
    [
      'too large a body',
      JSON.stringify({ ...put(), headers: { 'x-amz-meta-a': 'a'.repeat(300_000) } }),
      {},
      413,
    ],
  ])('refuses %s', async (_, body, headers, status) => {
    const answer = await ask('/api/v1/uploads/sign', await token(), body, headers)
    expect(answer.status).toBe(status)
    expect(answer.json).toMatchObject({ status, detail: expect.any(String) })
  })

  it('answers 404 elsewhere, describes itself to everyone, and hides internal errors', async () => {
    expect((await ask('/api/v1/nothing', await token())).status).toBe(404)
    const { status, json } = await ask('/api/v1/openapi.json', null)
    expect(status).toBe(200)
    expect(Object.keys(json.paths as object)).toEqual(
      expect.arrayContaining([
        '/api/v1/upload-settings',
        '/api/v1/uploads/sign',
        '/api/v1/files/{bucket}/{key}/copies',
      ]),
    )
    const secret = await token()
    const broken = createHandler({
      ...context,
      s3: {
        config: { ...context.s3.config, credentials: () => Promise.reject(new Error('/root/secret-file')) },
      } as never,
    })
    const answer = await broken.fetch(
      new Request('http://api/api/v1/uploads/sign', {
        method: 'POST',
        headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
        body: JSON.stringify(signing()),
      }),
    )
    expect(answer.status).toBe(503)
    expect(await answer.text()).not.toContain('secret-file')
  })

  describe('returns where the copies of a file are', () => {
    const object = { versionId: null, etag: 'a'.repeat(32), sizeBytes: 1010, lastModified: new Date() }
    const copies = async (key: string, secret: string) =>
      await ask(`/api/v1/files/${context.bucket}/${key}/copies`, secret)

    it('and that the local copy must stay while there is none on tape', async () => {
      const metadata = metadataOf(777)
      await record(
        context.database,
        { ...object, bucket: context.bucket, key: 'LNGS/run00777.mid.gz' },
        metadata,
      )
      for (const key of ['LNGS/run00777.mid.gz', 'LNGS%2Frun00777.mid.gz']) {
        const { status, json } = await copies(key, await token())
        expect(status).toBe(200)
        expect(json).toMatchObject({
          sha256: metadata.checksums.sha256,
          sizeBytes: metadata.sizeBytes,
          cloud: { state: 'present', verifiedAt: expect.stringMatching(/Z$/) },
          safe: false,
          why: expect.stringContaining('tape'),
        })
      }
    })

    it('and that it may go once both are verified', async () => {
      const cloud = await context.database
        .selectFrom('copies')
        .selectAll()
        .where('objectKey', '=', 'LNGS/run00777.mid.gz')
        .executeTakeFirstOrThrow()
      const place = { endpoint: 'file:///tape', url: 'file:///tape/x', name: 'x', requestedBy: 'test' }
      const tape = await requestTapeReplica(context.database, contentOf(cloud), place, new Date())
      const { json: before } = await copies('LNGS/run00777.mid.gz', await token())
      expect(before).toMatchObject({
        safe: false,
        tape: [{ endpoint: 'file:///tape', state: 'requested', verifiedAt: null }],
      })
      await context.database
        .updateTable('replicas')
        .set({ state: 'on-media', verifiedAt: new Date(), verifiedEvidence: 'read' })
        .where('id', '=', tape.id)
        .execute()
      const { json } = await copies('LNGS/run00777.mid.gz', await token())
      expect(json).toMatchObject({
        safe: true,
        tape: [{ endpoint: 'file:///tape', state: 'on-media', verifiedAt: expect.any(String) }],
      })
    })

    it('only for tags of the token, and only for catalogued files', async () => {
      expect((await copies('LNGS/run00777.mid.gz', await token(['push:LNF']))).status).toBe(403)
      expect((await copies('LNGS/run00778.mid.gz', await token())).status).toBe(404)
      expect((await copies('LNGS/notes.txt', await token())).status).toBe(404)
    })
  })
})
