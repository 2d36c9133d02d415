/**
 * Tokens, redirects and addresses: how requests reach an endpoint, and to which addresses our token is sent.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findProgram } from '../../../infra/local/programs.ts'
import { makeCertificates } from '../../../infra/local/services/xrootd/certificates.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import type { TapeFile } from '../../../shared/tape/driver.ts'
import { createTapeHttp, discard } from '../../../shared/tape/webdav/http.ts'
import { temporaryName } from '../../../shared/tape/webdav/places.ts'
import { createWebdavDriver } from '../../../shared/tape/webdav/webdav.ts'
import { startHttpServer } from '../../support/http-server.ts'
import { fingerprint, tapeFileOf } from '../../support/tape/files.ts'
import { LONGEST_WAIT_SECONDS } from '../../support/waiting.ts'
import { BYTES, startWebdavFixture, transientOf, type WebdavFixture } from '../../support/webdav-fixture.ts'

let fixture: WebdavFixture
let file: TapeFile
beforeEach(async () => {
  fixture = await startWebdavFixture({ thirdParty: 'never' })
  file = await tapeFileOf(BYTES)
})
afterEach(() => fixture.close())

const stored = { kind: 'stored', how: 'streamed', bytesThroughUs: BYTES.length }
const expectThere = () =>
  expect(fingerprint(fixture.server.files.get(file.name) ?? null)).toBe(fingerprint(BYTES))

describe('tokens', () => {
  it.each(['HEAD', 'PUT', 'MOVE', 'MKCOL'])(
    'one that has expired when it comes to %s is replaced, and the request repeated once',
    async (method) => {
      fixture.server.meet(method, ({ request, response }) => {
        fixture.server.token = 'fresh-token'
        request.resume()
        response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end()
      })
      expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored', how: 'streamed' })
      expectThere()
      expect(fixture.refused).toEqual(['first-token'])
    },
  )

  it('a token that is refused although it is new is an error for an operator', async () => {
    fixture.server.token = 'quite-another'
    const error = await transientOf(fixture.copy(BYTES, file))
    expect(error.message).toContain('it does not accept our token')
    expect(error.details).toMatchObject({ httpStatus: 401, operator: true })
    expect(fixture.refused).toEqual(['first-token'])
  })
})

describe('redirects', () => {
  it.each([307, 308])(
    'a %i to another host is followed without our token, and the bytes are read again',
    async (status) => {
      const seen: { method: string | undefined; authorization: string | undefined }[] = []
      const pool = await startHttpServer(async (request, response) => {
        seen.push({ method: request.method, authorization: request.headers.authorization })
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk)
        fixture.server.files.set(temporaryName(file), Buffer.concat(chunks))
        response.writeHead(201).end()
      })
      const location = `${pool.origin.replace('127.0.0.1', 'localhost')}/pool?ticket=7`
      // Closed immediately, like a door that does not read the body: the answer must still arrive.
      fixture.server.meet(
        'PUT',
        ({ response }) => {
          response.writeHead(status, { location, connection: 'close' }).end()
          response.socket?.destroySoon()
        },
        2,
      )
      expect(await fixture.copy(BYTES, file)).toMatchObject(stored)
      expect(seen).toEqual([{ method: 'PUT', authorization: undefined }])
      await pool.close()
    },
  )

  it('a circular redirect is an error', async () => {
    fixture.server.meet(
      'HEAD',
      ({ request, response }) => void response.writeHead(307, { location: request.url }).end(),
      100,
    )
    expect((await transientOf(fixture.copy(BYTES, file))).message).toContain('in a circle')
  })

  it('a redirect to an invalid address is an error', async () => {
    fixture.server.meet(
      'HEAD',
      ({ response }) => void response.writeHead(307, { location: 'file:///etc/passwd' }).end(),
    )
    expect((await transientOf(fixture.copy(BYTES, file))).message).toContain('to an invalid address')
  })
})

describe('a pooled connection that the endpoint closes just as a request leaves', () => {
  /** Answers the first request of each connection; closes the connection when a second one comes over it. */
  async function forgetfulEndpoint() {
    const used = new Set<Socket>()
    const heard: string[] = []
    const bothThere = Promise.withResolvers<void>()
    const server = await startHttpServer(async (request, response) => {
      heard.push(request.method ?? '')
      if (used.has(request.socket)) return void request.socket.destroy()
      used.add(request.socket)
      if (used.size === 2) bothThere.resolve()
      if (request.url === '/together') await bothThere.promise
      response.end('an answer')
    })
    const http = createTapeHttp({ token: { token: async () => null, refused: () => {} } })
    return {
      heard,
      used,
      async ask(method: 'HEAD' | 'GET' | 'POST', path = '/') {
        const answer = await http.request(
          { method, url: server.origin + path, what: 'a question' },
          new AbortController().signal,
        )
        await discard(answer)
        await turn() // the connection is back in its pool
        return answer.status
      },
      async close() {
        http.close()
        await server.close()
      },
    }
  }

  it('a repeatable request is repeated once on a new connection, whatever else is in the pool', async () => {
    const endpoint = await forgetfulEndpoint()
    expect(await Promise.all([endpoint.ask('GET', '/together'), endpoint.ask('GET', '/together')])).toEqual([
      200, 200,
    ])
    expect(await endpoint.ask('HEAD')).toBe(200)
    expect(endpoint.heard).toEqual(['GET', 'GET', 'HEAD', 'HEAD'])
    expect(endpoint.used.size).toBe(3)
    await endpoint.close()
  })

  it('a pooled connection is never used for a request that must not be sent twice', async () => {
    const endpoint = await forgetfulEndpoint()
    expect([await endpoint.ask('GET'), await endpoint.ask('POST'), await endpoint.ask('POST')]).toEqual([
      200, 200, 200,
    ])
    expect(endpoint.heard).toEqual(['GET', 'POST', 'POST'])
    await endpoint.close()
  })
})

describe('over TLS', () => {
  it('a redirect to an address without TLS gets neither our token nor the link of a third-party copy: the file is streamed', async (context) => {
    if ((await findProgram('openssl')) === null) return context.skip('openssl is not installed')
    const folder = temporaryFolder()
    const { caFile } = await makeCertificates(folder, join(folder, 'host'), ['127.0.0.1'], undefined)
    const plain: IncomingMessage[] = []
    const eavesdropper = await startHttpServer((request, response) => {
      plain.push(request)
      response.writeHead(500).end()
    })
    const methods: (string | undefined)[] = []
    const [cert, key] = ['certificate.pem', 'key.pem'].map((name) => readFileSync(join(folder, 'host', name)))
    const door = createTlsServer({ cert, key, keepAliveTimeout: 0 }, async (request, response) => {
      methods.push(request.method)
      request.resume()
      const location = `${eavesdropper.origin}/pool`
      if (request.method === 'COPY' || request.method === 'PUT') response.writeHead(307, { location }).end()
      else response.writeHead(request.method === 'MKCOL' ? 201 : 404).end()
    }).listen(0, '127.0.0.1')
    await once(door, 'listening')
    const rootUrl = `davs://127.0.0.1:${(door.address() as AddressInfo).port}/cygno/`
    const token = { token: async () => 'first-token', refused: () => {} }
    const driver = createWebdavDriver({
      rootUrl,
      caFile,
      token,
      thirdParty: 'auto',
      tapeRest: 'never',
      copySeconds: LONGEST_WAIT_SECONDS,
    })
    const source = fixture.store.source(file.name, BYTES)
    await transientOf(driver.copy(file, source, { attempt: 1 }, new AbortController().signal))
    expect(methods).toEqual(expect.arrayContaining(['COPY', 'PUT']))
    expect(plain.map(({ method }) => method)).not.toContain('COPY')
    for (const { headers } of plain) expect(JSON.stringify(headers)).not.toMatch(/first-token|Signature/)
    await driver.close()
    await eavesdropper.close()
    door.closeAllConnections()
    door.close()
  })
})

it.each([
  ['none', 'tape'],
  ['another protocol', 'ftp://tape.example.org/'],
  ['a password', 'davs://user:password@tape.example.org/'],
  ['a query', 'davs://tape.example.org/?authz=x'],
  ['a path that is not encoded', 'davs://tape.example.org/100%/'],
])(
  'an address of an endpoint that is or contains %s is refused, and is not repeated in the error',
  (_, rootUrl) => {
    const open = () =>
      createWebdavDriver({
        rootUrl,
        token: { token: async () => null, refused: () => {} },
        thirdParty: 'auto',
        tapeRest: 'auto',
        copySeconds: 1,
      })
    expect(open).toThrow(InvalidInputError)
    expect(open).not.toThrow(/password@/)
  },
)
