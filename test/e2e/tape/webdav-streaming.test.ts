/**
 * Streamed copies, names and tokens: whatever the endpoint does, a name has the correct file or its earlier
 * contents.
 */
import { createHash, randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConflictError } from '../../../shared/errors.ts'
import type { TapeFile } from '../../../shared/tape/driver.ts'
import { temporaryName } from '../../../shared/tape/webdav/places.ts'
import { createWebdavDriver } from '../../../shared/tape/webdav/webdav.ts'
import { fingerprint, tapeFileOf } from '../../support/tape/files.ts'
import { memorySource } from '../../support/tape/sources.ts'
import { LONGEST_WAIT_SECONDS } from '../../support/waiting.ts'
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
  fixture = await startWebdavFixture({ thirdParty: 'never' })
  file = await tapeFileOf(BYTES)
})
afterEach(() => fixture.close())

const stored = { kind: 'stored', how: 'streamed', bytesThroughUs: BYTES.length }
const expectThere = () =>
  expect(fingerprint(fixture.server.files.get(file.name) ?? null)).toBe(fingerprint(BYTES))

async function expectNothingLostAndTheNextSucceeds(): Promise<void> {
  expect(fixture.server.files.has(file.name)).toBe(false)
  expect(await fixture.copy(BYTES, file)).toMatchObject(stored)
  expectThere()
  expect(fixture.temporaries()).toEqual([])
}

describe('the endpoint', () => {
  it('an endpoint without free space fails the copy', async () => {
    fixture.server.meet('PUT', ({ request, response }) => {
      request.resume()
      response.writeHead(507, { 'content-type': 'text/plain' }).end('Disk quota exceeded')
    })
    expect((await transientOf(fixture.copy(BYTES, file))).message).toMatch(
      /no space left.*Disk quota exceeded/,
    )
    await expectNothingLostAndTheNextSucceeds()
  })

  it('an endpoint that dies during the copy fails the copy', async () => {
    fixture.server.meet(
      'PUT',
      ({ request, name }) => {
        request.once('data', (chunk: Buffer) => {
          fixture.server.files.set(name, chunk)
          request.destroy()
        })
      },
      2,
    )
    await transientOf(fixture.copy(BYTES, file))
    await expectNothingLostAndTheNextSucceeds()
  })

  it('an endpoint that accepts all bytes and does not answer is checked for the file', async () => {
    fixture.server.meet(
      'PUT',
      async ({ request, response, name }) => {
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk)
        fixture.server.files.set(name, Buffer.concat(chunks))
        response.destroy()
      },
      2,
    )
    expect(await fixture.copy(BYTES, file)).toMatchObject(stored)
    expectThere()
  })

  it('an endpoint that answers 201 and stores other bytes is noticed', async () => {
    fixture.server.meet('PUT', async ({ request, response, name }) => {
      for await (const _ of request) fixture.server.files.set(name, Buffer.from(BYTES).reverse())
      response.writeHead(201).end()
    })
    expect((await transientOf(fixture.copy(BYTES, file))).message).toContain('has other contents')
    await expectNothingLostAndTheNextSucceeds()
  })

  it('an endpoint that never accepts bytes fails the copy', async () => {
    const hurried = await startWebdavFixture({ thirdParty: 'never', copySeconds: 0.5 })
    hurried.server.meet('PUT', () => {})
    expect((await transientOf(hurried.copy(randomBytes(20_000_000)))).message).toContain('longer than 0.5 s')
    expect(hurried.server.files.size).toBe(0)
    await hurried.close()
  })

  it('an endpoint that does not exist fails the copy', async () => {
    // No process uses port 1; a port that was just released may be used by another process.
    const nowhere = await startWebdavFixture(
      { thirdParty: 'never', rootUrl: 'http://127.0.0.1:1/cygno/' },
      fixture,
    )
    expect((await transientOf(nowhere.copy(BYTES, file))).message).toContain('refuses connections')
    await nowhere.driver.close()
  })

  it('an endpoint that does not speak HTTP fails the copy', async () => {
    fixture.server.meet('HEAD', ({ response }) => void response.socket?.end('220 ready for orders\r\n'), 5)
    expect((await transientOf(fixture.copy(BYTES, file))).message).toContain('does not speak HTTP')
  })

  it('an endpoint that answers a HEAD without a length and a PROPFIND with a size is accepted', async () => {
    await fixture.copy(BYTES, file)
    fixture.server.meet('HEAD', ({ response }) => void response.writeHead(200).end())
    expect(await fixture.driver.check(file, { reference: null, readBack: 'if-needed' }, never)).toMatchObject(
      {
        kind: 'present',
        verifiedBy: 'sha256 read back',
      },
    )
  })
})

describe('checksums that the endpoint states', () => {
  const check = (digest: string, readBack: 'never' | 'if-needed' = 'never') => {
    fixture.server.meet(
      'HEAD',
      ({ response }) => void response.writeHead(200, { 'content-length': BYTES.length, digest }).end(),
    )
    return fixture.driver.check(file, { reference: null, readBack }, never)
  }
  const md5 = createHash('md5').update(BYTES).digest('base64')
  beforeEach(() => void fixture.server.files.set(file.name, BYTES))

  it.each([
    [
      'in capitals and without leading zeros',
      () => `ADLER32=${file.adler32.replace(/^0+/, '').toUpperCase()}`,
    ],
    ['md5 in base64', () => `md5=${md5}`],
    ['several', () => `md5=${md5},adler32=${file.adler32}`],
    ['one of another kind besides', () => `unixsum=30637, adler32=${file.adler32}`],
  ])('%s: present', async (_, digest) => expect(await check(digest())).toMatchObject({ kind: 'present' }))

  it.each([
    ['another adler32', () => 'adler32=00000001'],
    ['one that agrees and one that does not', () => `md5=${md5},adler32=00000001`],
  ])('%s: different', async (_, digest) => expect(await check(digest())).toMatchObject({ kind: 'different' }))

  it.each([
    ['nothing', ''],
    ['no number', 'adler32=nothing'],
    ['one of another kind', 'crc32c=AAAAAA=='],
    ['half a header', 'adler32'],
  ])('%s: not known, never "different"; read back where that is allowed', async (_, digest) => {
    expect(await check(digest)).toMatchObject({ kind: 'unverified' })
    expect(await check(digest, 'if-needed')).toMatchObject({
      kind: 'present',
      verifiedBy: 'sha256 read back',
    })
  })
})

describe('names', () => {
  it('an incomplete temporary file of a crash is replaced', async () => {
    fixture.server.files.set(temporaryName(file), randomBytes(77))
    expect(await fixture.copy(BYTES, file)).toMatchObject(stored)
    expect([...fixture.server.files.keys()]).toEqual([file.name])
  })

  it('a complete temporary file of a crash is used', async () => {
    fixture.server.files.set(temporaryName(file), BYTES)
    expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored', bytesThroughUs: 0 })
    expect(fixture.count('PUT')).toBe(0)
    expect([...fixture.server.files.keys()]).toEqual([file.name])
  })

  it('only our own temporary files are removed', async () => {
    fixture.server.files.set(`${file.name}.part`, randomBytes(5))
    await fixture.copy(BYTES, file)
    expect(fixture.server.log.filter((line) => line.startsWith('DELETE') && !line.endsWith('.part'))).toEqual(
      [],
    )
    expect(fixture.server.files.has(`${file.name}.part`)).toBe(true)
  })

  it.each([
    ['other contents', randomBytes(300_000), { kind: 'occupied' }],
    ['the same contents', BYTES, { kind: 'stored' }],
  ])('%s that take the name at the last moment are handled', async (_, occupant, outcome) => {
    fixture.server.meet('MOVE', async ({ proceed }) => {
      fixture.server.files.set(file.name, occupant)
      await proceed()
    })
    expect(await fixture.copy(BYTES, file)).toMatchObject(outcome)
    expect(fingerprint(fixture.server.files.get(file.name) ?? null)).toBe(fingerprint(occupant))
    expect(fixture.temporaries()).toEqual([])
  })

  it('a lost answer to the renaming is handled', async () => {
    fixture.server.meet('MOVE', async ({ response, name }) => {
      fixture.server.files.set(file.name, fixture.server.files.get(name) as Buffer)
      fixture.server.files.delete(name)
      response.destroy()
    })
    expect(await fixture.copy(BYTES, file)).toMatchObject(stored)
  })

  it('a refused renaming is reported', async () => {
    fixture.server.meet('MOVE', ({ response }) => void response.writeHead(403).end('read only'))
    expect((await transientOf(fixture.copy(BYTES, file))).message).toContain('read only')
    expect(fixture.server.files.has(file.name)).toBe(false)
    // A file that was compared is not sent again.
    expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored', bytesThroughUs: 0 })
    expectThere()
    expect(fixture.temporaries()).toEqual([])
  })

  it('folders are created once, also for several copies', async () => {
    const files = await Promise.all(
      [1, 2, 3].map((run) => tapeFileOf(BYTES, `bucket/TAG/a/b/run${run}.mid.gz`)),
    )
    await Promise.all(files.map((each) => fixture.copy(BYTES, each)))
    const made = fixture.count('MKCOL')
    await fixture.copy(BYTES, await tapeFileOf(BYTES, 'bucket/TAG/a/b/run4.mid.gz'))
    expect(fixture.count('MKCOL')).toBe(made)
  })

  it('an existing folder is used without the right to create folders', async () => {
    await fixture.copy(BYTES, await tapeFileOf(BYTES, 'bucket/TAG/run1.mid.gz'))
    const other = createWebdavDriver({
      rootUrl: fixture.server.url,
      token: { token: async () => null, refused: () => {} },
      thirdParty: 'never',
      tapeRest: 'never',
      copySeconds: LONGEST_WAIT_SECONDS,
    })
    fixture.server.meet('MKCOL', ({ response }) => void response.writeHead(403).end())
    const second = await tapeFileOf(BYTES, 'bucket/TAG/run2.mid.gz')
    expect(await other.copy(second, memorySource(second.name, BYTES), { attempt: 1 }, never)).toMatchObject(
      stored,
    )
    await other.close()
  })
})

describe('the source', () => {
  it('a source that is another object now ends the copy with that reason', async () => {
    const source = {
      ...memorySource(file.name, BYTES),
      // biome-ignore lint/correctness/useYield: it fails at once
      async *open(): AsyncGenerator<Uint8Array> {
        throw new ConflictError('the object changed while it was read')
      },
    }
    await expect(fixture.driver.copy(file, source, { attempt: 1 }, never)).rejects.toThrow(ConflictError)
    expect(fixture.server.files.size).toBe(0)
  })

  it('a wrong adler32 in the catalogue is not reported as a fault of the endpoint', async () => {
    const wrong = { ...file, adler32: '00000001' }
    await expect(fixture.copy(BYTES, wrong)).rejects.toThrow(
      /the contents of the source differ from the catalogue: the adler32 [0-9a-f]{8} instead of 00000001/,
    )
    expect(fixture.server.files.size).toBe(0)
  })
})
