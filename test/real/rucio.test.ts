/** The rucio driver, and the server of its other tests, compared with a real Rucio server. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../shared/errors.ts'
import type { CopySource, TapeDriver, TapeFile } from '../../shared/tape/driver.ts'
import { createRucioDriver, type RucioOptions } from '../../shared/tape/rucio/rucio.ts'
import { type RealRucio, requestRucio, startRealRucio } from '../support/real-rucio.ts'
import { type RucioServer, startRucioServer } from '../support/rucio-server.ts'
import { freshName, tapeFileOf } from '../support/tape/conformance.ts'

const { signal } = new AbortController()
const STORE = 'https://s3.example.org:443/'
const TAPE = 'davs://tape.example.org:8443/cygno/'
const bytes = Buffer.from('the bytes of a run')
let rucio: RealRucio
let driver: TapeDriver

const protocol = (address: string) => {
  const { protocol, hostname, port, pathname: prefix } = new URL(address.replace(/^davs/, 'https'))
  const scheme = address.startsWith('davs') ? 'davs' : protocol.slice(0, -1)
  const all = { read: 1, write: 1, delete: 1 }
  return {
    ...{
      scheme,
      hostname,
      port: Number(port === '' ? 443 : port),
      prefix,
      impl: 'rucio.rse.protocols.webdav.Default',
    },
    domains: { lan: all, wan: { ...all, third_party_copy_read: 1, third_party_copy_write: 1 } },
  }
}

const open = (more: Partial<RucioOptions> = {}) =>
  createRucioDriver({
    url: rucio.url,
    tokens: { token: async () => rucio.token, refused() {} },
    account: 'root',
    sourceRse: 'STORE',
    sourcePrefix: STORE,
    tapeRse: 'TAPE',
    ...more,
  })

const made = async (...request: Parameters<RealRucio['ask']>) => {
  const answer = await rucio.ask(...request)
  if (answer.status >= 300) throw new Error(`${request[0]} ${request[1]}: ${answer.status} ${answer.text}`)
}

beforeAll(async () => {
  rucio = await startRealRucio()
  driver = open()
  await made('POST', '/accounts/root/scopes/cygno-data')
  await made('POST', '/rses/STORE', { deterministic: false, rse_type: 'DISK' })
  await made('POST', '/rses/TAPE', { deterministic: true, rse_type: 'TAPE' })
  await made('POST', '/rses/STORE/protocols/https', protocol(STORE))
  await made('POST', '/rses/TAPE/protocols/davs', protocol(TAPE))
  await made('POST', '/rses/STORE/distances/TAPE', { distance: 1 })
  for (const rse of ['STORE', 'TAPE'])
    await made('POST', `/accounts/root/limits/local/${rse}`, { bytes: 10 ** 12 })
})
afterAll(async () => {
  await driver?.close()
  await rucio?.close()
})

describe('the driver on a real Rucio', () => {
  const sourceOf = ({ name }: TapeFile): CopySource => ({
    object: { bucket: name.slice(0, name.indexOf('/')), key: name.slice(name.indexOf('/') + 1) },
    open: () => Promise.reject(new Error('no byte goes through us')) as never,
    presign: () => Promise.reject(new Error('no link is needed')),
  })
  const copy = (file: TapeFile, attempt = 1) => driver.copy(file, sourceOf(file), { attempt }, signal)
  const submit = async (file: TapeFile, attempt = 1) => {
    const result = await copy(file, attempt)
    if (result.kind !== 'submitted') throw new Error(JSON.stringify(result))
    return result.reference
  }
  const check = (file: TapeFile, reference: string | null) =>
    driver.check(file, { reference, readBack: 'if-needed' }, signal)
  const replica = ({ name, sizeBytes, adler32 }: TapeFile) => ({
    ...{
      scope: name.slice(0, name.indexOf('/')),
      name: name.slice(name.indexOf('/') + 1),
      bytes: sizeBytes,
      adler32,
    },
  })

  it('a copy is requested once, and is in progress until Rucio has made it', async () => {
    const file = await tapeFileOf(bytes)
    expect(await check(file, null)).toEqual({ kind: 'absent', evidence: 'statement' })
    const reference = await submit(file)
    expect(await submit(file, 2)).toBe(reference)
    expect(await check(file, reference)).toMatchObject({
      kind: 'in-progress',
      reason: expect.stringContaining('REPLICATING (0 of 1 done)'),
    })
    expect(await check(file, null)).toMatchObject({ kind: 'in-progress' })
  })

  it('a file that is on the tape RSE and kept there by our rule is present', async () => {
    const file = await tapeFileOf(bytes)
    await made('POST', '/replicas/', { rse: 'TAPE', files: [replica(file)] })
    expect(await check(file, null)).toEqual({ kind: 'absent', evidence: 'statement' })
    const reference = await submit(file)
    expect(await check(file, reference)).toEqual({
      kind: 'present',
      verifiedBy: 'Rucio: rule OK, replica AVAILABLE',
      evidence: 'statement',
      onMedia: true,
    })
  })

  it('different checksums under the name are noticed, although Rucio accepts them without an error', async () => {
    const file = await tapeFileOf(bytes)
    const other = { ...file, adler32: '00000001' }
    await made('POST', '/replicas/', { rse: 'TAPE', files: [replica(other)] })
    expect(await copy(file)).toMatchObject({ kind: 'occupied' })
    expect(await check(file, null)).toMatchObject({ kind: 'different' })
  })

  it('a rule that was given up is restarted by a new attempt', async () => {
    const file = await tapeFileOf(bytes)
    const reference = await submit(file)
    await made('PUT', `/rules/${reference}`, { options: { state: 'SUSPENDED' } })
    expect(await check(file, reference)).toMatchObject({ kind: 'failed' })
    expect(await submit(file, 2)).toBe(reference)
    expect(await check(file, reference)).toMatchObject({
      kind: 'in-progress',
      reason: expect.stringContaining('STUCK'),
    })
  })

  it('the expiry of a rule is removed', async () => {
    const file = await tapeFileOf(bytes)
    await made('POST', '/replicas/', { rse: 'TAPE', files: [replica(file)] })
    const reference = await submit(file)
    await made('PUT', `/rules/${reference}`, { options: { lifetime: 86_400 } })
    expect(await check(file, reference)).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('ends on'),
    })
    expect(await submit(file, 2)).toBe(reference)
    expect(await check(file, reference)).toMatchObject({ kind: 'present' })
  })

  it('a file is brought back to the store by a rule with a limited lifetime', async () => {
    const file = await tapeFileOf(bytes)
    await submit(file)
    expect(await driver.stage(file, { reference: null, lifetimeSeconds: 86_400 }, signal)).toMatchObject({
      kind: 'online',
    })
  })

  it('invalid names and unknown settings are distinguished', async () => {
    await expect(copy(await tapeFileOf(bytes, 'cygno-data/LNGS/run 1.mid.gz'))).rejects.toThrow(
      InvalidInputError,
    )
    const elsewhere = open({ tapeRse: 'NOWHERE' })
    const file = await tapeFileOf(bytes)
    await expect(elsewhere.copy(file, sourceOf(file), { attempt: 1 }, signal)).rejects.toThrow(
      /CYGNET_RUCIO_TAPE_RSE/,
    )
    await elsewhere.close()
  })
})

describe('the recorded server answers like the real one', () => {
  let recorded: RucioServer
  beforeAll(async () => {
    recorded = await startRucioServer({
      account: 'root',
      scopes: ['cygno-data'],
      rses: [
        { name: 'STORE', deterministic: false, prefix: STORE },
        { name: 'TAPE', deterministic: true, prefix: TAPE },
      ],
    })
  })
  afterAll(() => recorded.close())

  const known = freshName().replace('cygno-data/', '')
  const file = {
    scope: 'cygno-data',
    name: known,
    bytes: 10,
    adler32: '0a1b2c3d',
    md5: 'f'.repeat(32),
    pfn: `${STORE}cygno-data/${known}`,
  }
  const dids = [{ scope: 'cygno-data', name: known }]
  const rule = { dids, account: 'root', copies: 1, rse_expression: 'TAPE' }
  const lines = { accept: 'application/x-json-stream' }
  const registering = (change: object, rse = 'STORE') =>
    ['POST', '/replicas/', { rse, files: [{ ...file, ...change }] }] as const

  it.each<[string, ...Parameters<RealRucio['ask']>]>([
    ['a registration', ...registering({})],
    ['the same again', ...registering({})],
    ['other checksums for it', ...registering({ adler32: '00000001', bytes: 11 })],
    ['an RSE that does not exist', ...registering({}, 'NOWHERE')],
    ['a scope that does not exist', ...registering({ scope: 'nowhere' })],
    ['no address for a non-deterministic RSE', ...registering({ pfn: undefined })],
    [
      'an address of another host',
      ...registering({ name: 'a', pfn: 'https://other.example.org:443/cygno-data/a' }),
    ],
    ['another address for a deterministic RSE', ...registering({ pfn: `${TAPE}x` }, 'TAPE')],
    [
      'an adler32 of seven digits',
      ...registering({ adler32: 'a1b2c3d', name: 'b', pfn: `${STORE}cygno-data/b` }),
    ],
    ['a field of tomorrow', ...registering({ sha256: 'aa', name: 'c', pfn: `${STORE}cygno-data/c` })],
    ['a name with a blank', ...registering({ name: 'd e', pfn: `${STORE}cygno-data/d%20e` })],
    ['a listing', 'POST', '/replicas/list', { dids, rse_expression: 'STORE', all_states: true }, lines],
    [
      'a listing of what is not known',
      'POST',
      '/replicas/list',
      { dids: [{ scope: 'cygno-data', name: 'none' }] },
      lines,
    ],
    [
      'a listing on an RSE that does not exist',
      'POST',
      '/replicas/list',
      { dids, rse_expression: 'NOWHERE' },
      lines,
    ],
    ['a listing as one JSON value', 'POST', '/replicas/list', { dids }, { accept: 'application/json' }],
    ['a rule', 'POST', '/rules/', rule],
    ['the same rule', 'POST', '/rules/', rule],
    ['a rule without an account', 'POST', '/rules/', { ...rule, account: undefined }],
    ['a rule with copies as text', 'POST', '/rules/', { ...rule, copies: '1' }],
    ['a rule with an object as meta', 'POST', '/rules/', { ...rule, meta: {} }],
    ['a rule for an RSE that does not exist', 'POST', '/rules/', { ...rule, rse_expression: 'NOWHERE' }],
    [
      'a rule for a file that is not known',
      'POST',
      '/rules/',
      { ...rule, dids: [{ scope: 'cygno-data', name: 'none' }] },
    ],
    [
      'the rules of a file',
      'GET',
      `/rules/?scope=cygno-data&name=${encodeURIComponent(known)}&account=root`,
      undefined,
      lines,
    ],
    ['rules as one JSON value', 'GET', '/rules/?scope=cygno-data', undefined, { accept: 'application/json' }],
    ['a rule that does not exist', 'GET', `/rules/${'0'.repeat(32)}`],
    ['a token that is none', 'GET', `/rules/${'0'.repeat(32)}`, undefined, { 'x-rucio-auth-token': 'none' }],
  ])('%s', async (_, ...request) => {
    const [method, path, body, headers = {}] = request
    const ours = await requestRucio(recorded.url, method, path, body, {
      ...{ 'x-rucio-auth-token': 'rucio-token', 'x-rucio-account': 'root', ...headers },
    })
    const theirs = await rucio.ask(...request)
    expect([ours.status, ours.kind]).toEqual([theirs.status, theirs.kind])
    const fields = (text: string) =>
      text
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => Object.keys(JSON.parse(line)))
    // Every field of a replica or rule in our server is also in the real one.
    if (theirs.status === 200)
      for (const [at, keys] of fields(ours.text).entries())
        expect(fields(theirs.text)[at]).toEqual(expect.arrayContaining(keys))
  })

  it('without a token', async () => {
    for (const url of [recorded.url, rucio.url])
      expect(
        await requestRucio(url, 'GET', '/rules/x', undefined, { authorization: 'Bearer x' }),
      ).toMatchObject({
        status: 400,
        kind: 'ValueError',
      })
  })
})
