/** Reading, staging, sending and listing at a WebDAV endpoint that misbehaves. */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../../shared/errors.ts'
import type { TapeFile } from '../../../shared/tape/driver.ts'
import { temporaryName } from '../../../shared/tape/webdav/places.ts'
import { startHttpServer, type TestServer } from '../../support/http-server.ts'
import { fingerprint, tapeFileOf } from '../../support/tape/files.ts'
import { PLAIN_MARKERS } from '../../support/webdav-copy.ts'
import {
  BYTES,
  never,
  startWebdavFixture,
  transientOf,
  type WebdavFixture,
} from '../../support/webdav-fixture.ts'

let fixture: WebdavFixture
let file: TapeFile
beforeEach(async () => {
  fixture = await startWebdavFixture()
  file = await tapeFileOf(BYTES)
  fixture.server.files.set(file.name, BYTES)
})
afterEach(() => fixture.close())

const readAll = async (wanted = file) =>
  Buffer.concat(await Array.fromAsync(fixture.driver.read(wanted, never)))

describe('reading', () => {
  /** Sends so many bytes of the requested range, then closes the connection. */
  const breakAfter = (bytes: number, times = 1) =>
    fixture.server.meet(
      'GET',
      ({ request, response }) => {
        const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
        const headers = { 'content-length': BYTES.length - from, etag: '"1"' }
        const range =
          from === 0 ? {} : { 'content-range': `bytes ${from}-${BYTES.length - 1}/${BYTES.length}` }
        response.writeHead(from === 0 ? 200 : 206, { ...headers, ...range })
        response.write(BYTES.subarray(from, from + bytes), () => response.destroy())
      },
      times,
    )

  it('reading resumes after a broken connection, with the same file', async () => {
    breakAfter(100_000, 2)
    fixture.server.meet('GET', ({ request, response }) => {
      expect(request.headers).toMatchObject({ range: `bytes=200000-${BYTES.length - 1}`, 'if-match': '"1"' })
      response
        .writeHead(206, { 'content-length': 100_000, 'content-range': `bytes 200000-299999/300000` })
        .end(BYTES.subarray(200_000))
    })
    expect(fingerprint(await readAll())).toBe(fingerprint(BYTES))
  })

  it.each([
    ['412, since the file has changed', 412, {}, 'changed'],
    ['the whole file again', 200, {}, 'answered 200'],
    ['another part', 206, { 'content-range': 'bytes 0-9/300000' }, 'another part'],
    [
      'a part of a file of another size',
      206,
      { 'content-range': 'bytes 100000-299999/300001' },
      'another part',
    ],
    ['a part it does not name', 206, {}, 'another part'],
  ])(
    'reading ends when the endpoint answers the request for the rest with %s',
    async (_, status, headers, why) => {
      breakAfter(100_000)
      fixture.server.meet(
        'GET',
        ({ response }) => void response.writeHead(status, headers as Record<string, string>).end('x'),
      )
      expect((await transientOf(readAll())).message).toContain(why)
    },
  )

  it('reading ends when the file is longer than expected', async () => {
    const shorter = await tapeFileOf(BYTES.subarray(0, 1000), file.name)
    expect((await transientOf(readAll(shorter))).message).toContain('more than 1000 bytes')
  })

  it('reading finds a run that was copied earlier, under the name without its bucket', async () => {
    fixture.server.files.clear()
    fixture.server.files.set(file.name.replace(/^[^/]*\//, ''), BYTES)
    expect(fingerprint(await readAll())).toBe(fingerprint(BYTES))
    expect(await fixture.driver.stage(file, { reference: null, lifetimeSeconds: 60 }, never)).toEqual({
      kind: 'online',
      reference: null,
    })
    // But a check uses only the name itself.
    expect(await fixture.driver.check(file, { reference: null, readBack: 'if-needed' }, never)).toEqual({
      kind: 'absent',
    })
  })

  it('a file that does not exist cannot be staged', async () => {
    fixture.server.files.clear()
    await expect(fixture.driver.stage(file, { reference: null, lifetimeSeconds: 60 }, never)).rejects.toThrow(
      InvalidInputError,
    )
  })
})

it.each(['repr-adler32', 'repr-md5', 'repr-sha256'] as const)(
  'a copy is verified by a checksum that the endpoint states only as %s',
  async (digest) => {
    fixture.server.digest = digest
    const check = () => fixture.driver.check(file, { reference: null, readBack: 'never' }, never)
    expect(await check()).toMatchObject({ kind: 'present' })
    fixture.server.files.set(file.name, randomBytes(BYTES.length))
    expect(await check()).toMatchObject({ kind: 'different' })
  },
)

describe('an endpoint that answers 404 for every address', () => {
  const notFound = () => {
    for (const method of ['HEAD', 'GET', 'PROPFIND'])
      fixture.server.meet(method, ({ response }) => void response.writeHead(404).end(), 1000)
  }

  it('no file of an endpoint that answers 404 for every address counts as missing', async () => {
    notFound()
    const check = fixture.driver.check(file, { reference: null, readBack: 'if-needed' }, never)
    expect((await transientOf(check)).message).toContain('the root')
    await transientOf(fixture.driver.stage(file, { reference: null, lifetimeSeconds: 60 }, never))
    expect((await transientOf(readAll())).details.missing).toBeUndefined()
    await transientOf(Array.fromAsync(fixture.driver.list?.('', never) ?? []))
  })

  const folder = (href: string, type: string) =>
    `<d:multistatus xmlns:d="DAV:"><d:response><d:href>${href}</d:href><d:propstat><d:prop><d:resourcetype>${type}</d:resourcetype></d:prop></d:propstat></d:response></d:multistatus>`

  it.each<[string, number, string]>([
    ['401', 401, ''],
    ['403, as a guard does', 403, ''],
    ['405, as a server without WebDAV does', 405, ''],
    ['500', 500, ''],
    ['503', 503, ''],
    ['a page', 200, '<html>Maintenance</html>'],
    ['a page as a listing', 207, '<html>Maintenance</html>'],
    ['no body', 207, ''],
    ['an empty listing', 207, '<d:multistatus xmlns:d="DAV:"/>'],
    ['a file', 207, folder('/cygno', '')],
    ['another folder', 207, folder('/', '<d:collection/>')],
  ])('no file counts as missing where the root is answered with %s', async (_, status, body) => {
    fixture.server.meet('HEAD', ({ response }) => void response.writeHead(404).end(), 1000)
    fixture.server.meet('PROPFIND', ({ response }) => void response.writeHead(status).end(body), 1000)
    await transientOf(fixture.driver.check(file, { reference: null, readBack: 'if-needed' }, never))
    await transientOf(fixture.driver.stage(file, { reference: null, lifetimeSeconds: 60 }, never))
    expect((await transientOf(readAll())).details.missing).toBeUndefined()
  })

  it.each([200, 403, 405])(
    'a server that answers %i for the root is one failure, not one a file',
    async (status) => {
      fixture.server.meet('HEAD', ({ response }) => void response.writeHead(404).end(), 1000)
      fixture.server.meet('PROPFIND', ({ response }) => void response.writeHead(status).end(), 1000)
      const check = fixture.driver.check(file, { reference: null, readBack: 'never' }, never)
      expect((await transientOf(check)).details).toMatchObject({ operator: true })
    },
  )

  it('a file that only a HEAD does not find is not missing', async () => {
    fixture.server.meet('HEAD', ({ response }) => void response.writeHead(404).end(), 1000)
    await transientOf(fixture.driver.check(file, { reference: null, readBack: 'if-needed' }, never))
    await transientOf(fixture.driver.stage(file, { reference: null, lifetimeSeconds: 60 }, never))
  })

  it('a file is missing where the endpoint has its root and finds the file in no way', async () => {
    fixture.server.files.clear()
    const check = fixture.driver.check(file, { reference: null, readBack: 'if-needed' }, never)
    expect(await check).toEqual({ kind: 'absent' })
  })
})

describe('a gateway that answers with a page of its own', () => {
  const page = '<html><h1>Maintenance until 18:00</h1></html>'
  const paged = (methods: readonly string[]) => {
    for (const method of methods)
      fixture.server.meet(
        method,
        ({ request, response }) => {
          request.resume()
          response.writeHead(200, { 'content-type': 'text/html', 'content-length': page.length })
          response.end(method === 'HEAD' ? undefined : page)
        },
        1000,
      )
  }

  it.each([
    ['HEAD', ['HEAD']],
    ['every request', ['HEAD', 'GET', 'PROPFIND', 'PUT', 'COPY', 'MOVE', 'MKCOL']],
  ] as const)(
    'a page in answer to %s makes no file another one, and occupies no name',
    async (_, methods) => {
      paged(methods)
      for (const readBack of ['never', 'if-needed', 'always'] as const)
        await transientOf(fixture.driver.check(file, { reference: null, readBack }, never))
      await transientOf(fixture.copy(BYTES, file))
    },
  )

  it('a file of another size, which its properties state as well, is another one', async () => {
    fixture.server.files.set(file.name, BYTES.subarray(1))
    const check = fixture.driver.check(file, { reference: null, readBack: 'never' }, never)
    expect(await check).toMatchObject({ kind: 'different', evidence: 'existence' })
  })
})

it('an endpoint that describes more than it was asked for gives the size of the file itself', async () => {
  const entry = (name: string, size: number) =>
    `<d:response><d:href>/cygno/${name}</d:href><d:propstat><d:prop><d:getcontentlength>${size}</d:getcontentlength></d:prop></d:propstat></d:response>`
  const folder = file.name.replace(/[^/]*$/, '')
  const answers = [
    [entry(`${file.name}/x`, 1), entry(file.name, BYTES.length)],
    [entry(file.name, BYTES.length), entry(file.name, 1)],
    [entry(folder, 1)],
  ]
  const sizes: unknown[] = []
  for (const entries of answers) {
    fixture.server.meet(
      'HEAD',
      ({ response }) => void response.writeHead(200, { 'transfer-encoding': 'chunked' }).end(),
    )
    fixture.server.meet(
      'PROPFIND',
      ({ response }) =>
        void response.writeHead(207).end(`<d:multistatus xmlns:d="DAV:">${entries.join('')}</d:multistatus>`),
    )
    const check = fixture.driver.check(file, { reference: null, readBack: 'never' }, never)
    sizes.push(
      await check.then(
        ({ kind }) => kind,
        (error: Error) => error.name,
      ),
    )
  }
  expect(sizes).toEqual(['unverified', 'TransientError', 'TransientError'])
})

describe('sending to a store', () => {
  const got: Buffer[] = []
  let status = 200
  let store: TestServer
  beforeAll(async () => {
    store = await startHttpServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      if (request.method === 'PUT') got.push(Buffer.concat(chunks))
      response.writeHead(status).end()
    })
  })
  afterAll(() => store.close())
  const link = () => `${store.origin}/b/k?X-Amz-Signature=secret`
  beforeEach(() => {
    got.length = 0
    status = 200
  })
  const send = async () => await fixture.driver.send?.(file, link(), never)

  it('the endpoint sends the file directly to the store', async () => {
    expect(await send()).toBe('sent')
    expect(fingerprint(got[0] ?? null)).toBe(fingerprint(BYTES))
    expect(fixture.count('GET')).toBe(0)
  })

  it('an endpoint that cannot send is reported, and is not requested again for some minutes', async () => {
    fixture.server.meet('COPY', ({ response }) => void response.writeHead(501).end())
    expect(await send()).toBe('unsupported')
    expect(await send()).toBe('unsupported')
    expect(fixture.count('COPY')).toBe(1)
    fixture.clock.ms += 601_000
    expect(await send()).toBe('sent')
  })

  it('a failure during sending, also an unknown one, is an error without the link', async () => {
    status = 403
    await transientOf(send())
    fixture.server.markers = { ...PLAIN_MARKERS, lastLine: null }
    status = 200
    await transientOf(send())
  })
})

describe('listing', () => {
  const list = async (prefix = '') => await Array.fromAsync(fixture.driver.list?.(prefix, never) ?? [])
  const answering = (body: string, status = 207) =>
    fixture.server.meet('PROPFIND', ({ request, response }) => {
      request.resume()
      response.writeHead(status, { 'content-type': 'application/xml' }).end(body)
    })
  const multistatus = (...hrefs: string[]) =>
    `<?xml version="1.0"?><D:multistatus xmlns:D="DAV:" xmlns:l="DAV:">${hrefs
      .map(
        (href) =>
          `<D:response><D:href>${href}</D:href><D:propstat><D:prop><l:getcontentlength>7</l:getcontentlength></D:prop></D:propstat></D:response>`,
      )
      .join('')}</D:multistatus>`

  it('a listing has the files with names of copies, and no temporary files', async () => {
    fixture.server.files.set(temporaryName(file), randomBytes(9))
    fixture.server.files.set('other/run1.mid.gz', randomBytes(9))
    expect(await list()).toEqual(
      expect.arrayContaining([
        { name: file.name, sizeBytes: BYTES.length },
        { name: 'other/run1.mid.gz', sizeBytes: 9 },
      ]),
    )
    expect(await list('cygno')).toEqual([{ name: file.name, sizeBytes: BYTES.length }])
    expect(await list()).toHaveLength(2)
  })

  it.each([
    ['with addresses', 'http://tape.example.org/cygno/run%201.mid', 'run 1.mid'],
    ['with entities', '/cygno/a&amp;b&#233;.mid', 'a&bé.mid'],
    ['not encoded, as XRootD writes it', '/cygno/Läufe 100%.mid', 'Läufe 100%.mid'],
    ['with doubled slashes', '//cygno//run1.mid', 'run1.mid'],
  ])('a listing reads names %s', async (_, href, name) => {
    answering(multistatus('/cygno/', href))
    expect((await list()).map((entry) => entry.name)).toContain(name)
  })

  it.each([
    ['half a document', multistatus('/cygno/').slice(0, 90)],
    ['a page', '<html><body>Maintenance<br></body></html>'],
    ['nothing', ''],
    ['no XML', 'ECHO'],
    ['entities that grow', `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]>${multistatus('/cygno/&a;')}`],
    ['another element', '<D:error xmlns:D="DAV:"/>'],
    ['a file outside of the folder', multistatus('/cygno/', '/etc/passwd')],
    ['a file further down', multistatus('/cygno/', '/cygno/a/b/c')],
    ['a way up', multistatus('/cygno/', '/cygno/..')],
    ['a file without a size', multistatus('/cygno/', '/cygno/run1.mid').replaceAll('>7<', '>many<')],
  ])('an answer that is %s is an error, not an empty listing', async (_, body) => {
    answering(body)
    expect((await transientOf(list())).message).toMatch(/listing/)
  })

  it.each([200, 403, 500])('so is %i', async (status) => {
    answering(multistatus('/cygno/'), status)
    await transientOf(list())
  })

  it('names are read below the path that the endpoint writes for the folder', async () => {
    answering(multistatus('/pnfs/lngs.infn.it/cygno/', '/pnfs/lngs.infn.it/cygno/run1.mid'))
    expect(await list()).toContainEqual({ name: 'run1.mid', sizeBytes: 7 })
  })

  it('a folder is one although its type is missing', async () => {
    answering(multistatus('/cygno/', '/cygno/b/', '/cygno/run1.mid'))
    answering(multistatus('/cygno/', '/cygno/b/', '/cygno/run1.mid'))
    expect(await list('run')).toEqual([{ name: 'run1.mid', sizeBytes: 7 }])
    expect((await list()).map(({ name }) => name)).not.toContain('b')
  })

  it('names that no copy can have are skipped', async () => {
    answering(multistatus('/cygno/', '/cygno/a%5Cb.mid', '/cygno/run1.mid'))
    expect(await list()).toContainEqual({ name: 'run1.mid', sizeBytes: 7 })
  })
})
