import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { InvalidInputError, TransientError } from '../../../shared/errors.ts'
import type { TapeDriver, TapeFile } from '../../../shared/tape/driver.ts'
import { alternateTapeName } from '../../../shared/tape/names.ts'
import type { RucioOptions } from '../../../shared/tape/rucio/rucio.ts'
import type { TokenSource } from '../../../shared/tape/tokens/token-source.ts'
import { startHttpServer } from '../../support/http-server.ts'
import type { MemoryEndpoint } from '../../support/memory-endpoint.ts'
import {
  fixedToken,
  type RucioFixture,
  STORE,
  sourceOf,
  splitName,
  startRucioFixture,
} from '../../support/rucio-fixture.ts'
import type { RucioServer } from '../../support/rucio-server.ts'
import { tapeFileOf } from '../../support/tape/conformance.ts'

const { signal } = new AbortController()
const bytes = Buffer.from('the bytes of a run')
let fixture: RucioFixture
let rucio: RucioServer
let endpoint: MemoryEndpoint
let driver: TapeDriver
let file: TapeFile
let did: string
const open = (more: Partial<RucioOptions> = {}) => fixture.open({ destination: endpoint, ...more })
const submit = async (attempt = 1) => {
  const result = await driver.copy(file, sourceOf(file.name), { attempt }, signal)
  if (result.kind !== 'submitted') throw new Error(`not submitted: ${JSON.stringify(result)}`)
  return result.reference
}
const check = (reference: string | null, readBack: 'never' | 'if-needed' | 'always' = 'if-needed') =>
  driver.check(file, { reference, readBack }, signal)
const copy = (attempt = 1) => driver.copy(file, sourceOf(file.name), { attempt }, signal)

beforeEach(async () => {
  fixture = await startRucioFixture()
  rucio = fixture.rucio
  endpoint = fixture.endpoint
  driver = open()
  file = await tapeFileOf(bytes)
  did = file.name.replace('/', ':')
})
afterEach(async () => {
  await driver.close()
  await rucio.close()
})

describe('requests for copies', () => {
  it('a request registers the file at its place, with its size and checksums, and makes one rule for the tape', async () => {
    const reference = await submit()
    expect(rucio.file(did)).toMatchObject({ bytes: bytes.length, adler32: file.adler32, md5: file.md5 })
    expect(rucio.file(did)?.replicas.get('STORE')).toEqual({
      pfn: `${STORE}${file.name}`,
      state: 'AVAILABLE',
    })
    expect(rucio.rules.get(reference)).toMatchObject({
      rse_expression: 'TAPE',
      copies: 1,
      account: 'cygno-daq',
      expires_at: null,
      comments: 'Cygnet: second copy of run 12345 (LNGS)',
    })
  })

  it('repeated requests, also in a new attempt, give one rule', async () => {
    const reference = await submit()
    expect(await submit()).toBe(reference)
    expect(await submit(2)).toBe(reference)
    expect(rucio.rules.size).toBe(1)
  })

  it.each([
    ['another size', { bytes: 99 }],
    ['another adler32', { adler32: '00000001' }],
    ['another md5', { md5: 'f'.repeat(32) }],
    ['no checksum at all', { adler32: null, md5: null }],
  ])('a file that Rucio knows with %s is another file: nothing is registered', async (_, change) => {
    const { scope, name } = splitName(file.name)
    rucio.know({ scope, name, bytes: bytes.length, adler32: file.adler32, md5: file.md5, ...change }, 'HERE')
    expect(await copy()).toMatchObject({ kind: 'occupied' })
    expect(await check(null)).toMatchObject({ kind: 'different' })
    expect(rucio.file(did)?.replicas.has('STORE')).toBe(false)
    expect(rucio.rules.size).toBe(0)
  })

  it('checksums in capitals, or without an md5, are the same checksums', async () => {
    const { scope, name } = splitName(file.name)
    rucio.know({ scope, name, bytes: bytes.length, adler32: file.adler32.toUpperCase(), md5: null }, 'HERE')
    await submit()
  })

  it('a copy under an alternate name has the address of its object', async () => {
    const name = file.name
    file = { ...file, name: alternateTapeName(sourceOf(name).object, file.sha256) }
    await driver.copy(file, sourceOf(name), { attempt: 1 }, signal)
    expect(rucio.file(file.name.replace('/', ':'))?.replicas.get('STORE')?.pfn).toBe(`${STORE}${name}`)
    driver = open({ sourceRse: 'HERE', sourcePrefix: undefined })
    await expect(driver.copy(file, sourceOf(name), { attempt: 1 }, signal)).rejects.toThrow(InvalidInputError)
  })

  it('a deterministic RSE makes the address', async () => {
    driver = open({ sourceRse: 'HERE', sourcePrefix: undefined })
    await submit()
    expect(rucio.file(did)?.replicas.get('HERE')?.pfn).toMatch(
      /^https:\/\/here\.example\.org\/cygno-data\/../,
    )
  })

  it('a rule with a lost reply is found again, and not made twice', async () => {
    rucio.failOn('POST /rules/', 'lose-reply')
    const reference = await submit()
    expect(rucio.rules.has(reference)).toBe(true)
    expect(rucio.rules.size).toBe(1)
  })

  it('a rule that Rucio never received does not exist', async () => {
    rucio.failOn('POST /rules/', 'drop')
    await expect(copy()).rejects.toThrow(TransientError)
    expect(rucio.rules.size).toBe(0)
  })

  it('an exceeded quota needs an operator', async () => {
    file = { ...file, sizeBytes: 10 ** 15 }
    await expect(copy()).rejects.toThrow(/InsufficientAccountLimit.*quota/)
  })

  it('a rule that Rucio gave up is restarted by a new attempt', async () => {
    const reference = await submit()
    rucio.setRule(reference, { state: 'SUSPENDED', error: 'no route' })
    expect(await check(reference)).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('no route'),
    })
    expect(await submit(2)).toBe(reference)
    expect(rucio.rules.get(reference)?.state).toBe('STUCK')
  })

  it('a rule with an expiry does not count as a copy until the expiry is removed', async () => {
    const reference = await submit()
    const ended = { state: 'OK', locks_ok_cnt: 1, locks_replicating_cnt: 0 }
    rucio.setRule(reference, { ...ended, expires_at: 'Mon, 01 Jan 2099 00:00:00 UTC' })
    rucio.setReplica(did, 'TAPE', 'AVAILABLE')
    fixture.endpoint.files.set(fixture.placeOf(file.name), bytes)
    for (const known of [reference, null])
      expect(await check(known)).toMatchObject({
        kind: 'failed',
        reason: expect.stringContaining('ends on Mon, 01 Jan 2099'),
      })
    expect(await submit(2)).toBe(reference)
    expect(rucio.rules.get(reference)?.expires_at).toBeNull()
    expect(await check(reference)).toMatchObject({ kind: 'present' })
  })

  it('without the right to remove the expiry an operator is needed', async () => {
    const reference = await submit()
    rucio.setRule(reference, { state: 'SUSPENDED' })
    rucio.isAdmin = false
    await expect(copy(2)).rejects.toThrow(/did not resume rule \w+: .* the account lacks this permission/)
  })

  it('a source that Rucio has declared bad is not copied', async () => {
    await submit()
    rucio.setReplica(did, 'STORE', 'BAD')
    await expect(copy()).rejects.toThrow(/replica on STORE is BAD/)
  })

  it.each<[string, Partial<RucioOptions>, RegExp]>([
    ['an RSE that does not exist', { sourceRse: 'NOWHERE' }, /RSENotFound.*CYGNET_RUCIO_SOURCE_RSE/],
    ['a tape RSE that does not exist', { tapeRse: 'NOWHERE' }, /InvalidRSEExpression.*CYGNET_RUCIO_TAPE_RSE/],
    [
      'an address that the RSE does not have',
      { sourcePrefix: 'https://elsewhere/' },
      /CYGNET_RUCIO_SOURCE_PREFIX/,
    ],
    ['a missing address', { sourcePrefix: undefined }, /CYGNET_RUCIO_SOURCE_PREFIX/],
    ['a token that is none', { tokens: fixedToken('unknown') }, /CannotAuthenticate.*check the token/],
    ['an account that is not ours', { account: 'other' }, /CannotAuthenticate/],
  ])('%s needs an operator, with what to do', async (_, more, message) => {
    driver = open(more)
    const error = await copy().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TransientError)
    expect((error as TransientError).details.operator).toBe(true)
    expect((error as Error).message).toMatch(message)
  })

  it('a name that is invalid in Rucio is invalid input', async () => {
    file = await tapeFileOf(bytes, 'cygno-data/LNGS/run 12345.mid.gz')
    await expect(copy()).rejects.toThrow(InvalidInputError)
    file = await tapeFileOf(bytes, 'run12345.mid.gz')
    await expect(check(null)).rejects.toThrow(InvalidInputError)
  })

  it('a refused token is renewed once; a missing permission does not count as a refused token', async () => {
    const refused: string[] = []
    const tokens: TokenSource = {
      token: async () => (refused.length === 0 ? 'expired' : 'rucio-token'),
      refused: (token) => void refused.push(token),
    }
    driver = open({ tokens })
    const reference = await submit()
    expect(refused).toEqual(['expired'])
    rucio.setRule(reference, { state: 'SUSPENDED' })
    rucio.isAdmin = false
    await expect(copy(2)).rejects.toThrow(TransientError)
    expect(refused).toHaveLength(1)
  })
})

describe('an empty answer from something else in place of Rucio', () => {
  it.each([
    [200, '', 'text/html'],
    [200, '\n', 'text/plain'],
    [200, '', 'application/x-json-stream'],
    [204, '', 'text/html'],
  ])(
    '(%i %j, %s) means neither that a file is missing nor that it cannot be staged',
    async (status, body, type) => {
      const gateway = await startHttpServer(async (_, response) => {
        response.writeHead(status, { 'content-type': type }).end(body)
      })
      const transient = (work: Promise<unknown>) => expect(work).rejects.toThrow(TransientError)
      try {
        driver = open({ url: gateway.origin })
        await transient(check(null))
        await transient(driver.stage(file, { reference: null, lifetimeSeconds: 60 }, signal))
        driver = open({ url: gateway.origin, destination: undefined })
        await transient(driver.stage(file, { reference: null, lifetimeSeconds: 60 }, signal))
      } finally {
        await gateway.close()
      }
    },
  )
})
