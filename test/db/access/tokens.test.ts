/** API tokens in the catalogue: what they are good for, how they are kept, how they end. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { allows, parseScope, tagsOf } from '../../../shared/access/scopes.ts'
import {
  createToken,
  findToken,
  listTokens,
  machineOf,
  revokeTokens,
  stateOf,
} from '../../../shared/access/tokens.ts'
import { noteLocalCopy } from '../../../shared/copies/delete/local-copies.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { record, startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'
import { metadataOf } from '../../support/metadata.ts'

const DAY_MS = 86_400_000

describe('a scope', () => {
  it('is a right and a tag', () => {
    expect(parseScope('push:LNGS')).toEqual({ right: 'push', tag: 'LNGS' })
    expect(parseScope('overwrite:FLASH/2024')).toEqual({ right: 'overwrite', tag: 'FLASH/2024' })
    expect(parseScope('push:a:b')).toEqual({ right: 'push', tag: 'a:b' })
  })

  it.each([
    '',
    'push',
    'push:',
    ':LNGS',
    'write:LNGS',
    'PUSH:LNGS',
    'push:..',
    'push:LNGS/',
    'push:/LNGS',
    'push:a//b',
    'push:a\nb',
  ])('"%s" is not a scope', (text) => {
    expect(() => parseScope(text)).toThrow(InvalidInputError)
  })

  it('holds for its tag alone; overwrite includes push', () => {
    expect(allows(['push:LNGS'], 'push', 'LNGS')).toBe(true)
    expect(allows(['push:LNGS'], 'overwrite', 'LNGS')).toBe(false)
    expect(allows(['overwrite:LNGS'], 'push', 'LNGS')).toBe(true)
    for (const tag of ['LNG', 'LNGS2', 'lngs', 'LNGS/x', '', '*'])
      expect(allows(['push:LNGS', 'overwrite:LNGS'], 'push', tag)).toBe(false)
    expect(tagsOf(['push:LNGS', 'overwrite:LNF', 'overwrite:LNGS'], 'push')).toEqual(['LNGS', 'LNF'])
  })
})

describe('a token', () => {
  let catalogue: TestCatalogue
  beforeAll(async () => {
    catalogue = await startTestCatalogue()
  })
  afterAll(() => catalogue?.close())
  const make = (name = 'daq', scopes: readonly string[] = ['push:LNGS'], days = 90, at = new Date()) =>
    createToken(catalogue.database, { name, scopes, days }, at)

  it('has 256 random bits, and only its hash is stored', async () => {
    const { id, secret, expiresAt } = await make()
    expect(secret).toMatch(/^cyg_[A-Za-z0-9_-]{43}$/)
    expect(Buffer.from(secret.slice(4), 'base64url')).toHaveLength(32)
    expect((expiresAt.getTime() - Date.now()) / DAY_MS).toBeCloseTo(90, 2)
    const { rows } = await sql<Record<string, unknown>>`SELECT * FROM api_tokens WHERE id = ${id}`.execute(
      catalogue.database,
    )
    expect(rows[0]?.tokenHash).toEqual(createHash('sha256').update(secret).digest())
    expect(JSON.stringify(rows)).not.toContain(secret.slice(4))
    expect((await make()).secret).not.toBe(secret)
  })

  it('is found by its secret alone, letter by letter', async () => {
    const { id, secret } = await make()
    expect(await findToken(catalogue.database, secret)).toMatchObject({
      id,
      name: 'daq',
      scopes: ['push:LNGS'],
      revokedAt: null,
    })
    for (const other of [
      secret.toLowerCase(),
      secret.slice(0, -1),
      `${secret} `,
      secret.slice(4),
      '',
      String(id),
      'daq',
      "' OR 1=1 -- ",
    ])
      expect(await findToken(catalogue.database, other)).toBeNull()
  })

  it('is over at its end and not before', () => {
    const expiresAt = new Date('2026-11-22T12:00:00Z')
    const at = fc.date({ min: new Date('2026-01-01'), max: new Date('2027-12-31'), noInvalidDate: true })
    fc.assert(
      fc.property(at, (now) => {
        expect(stateOf({ expiresAt, revokedAt: null }, now)).toBe(now < expiresAt ? 'valid' : 'expired')
        expect(stateOf({ expiresAt, revokedAt: new Date(0) }, now)).toBe('revoked')
      }),
    )
  })

  it('is revoked by number, or with all others of its name, once', async () => {
    const [first, second] = [await make('lab'), await make('lab')]
    const before = new Date('2026-01-01T00:00:00Z')
    expect(await revokeTokens(catalogue.database, String(first.id), before)).toBe(1)
    expect(await revokeTokens(catalogue.database, 'lab', new Date())).toBe(1)
    expect(await revokeTokens(catalogue.database, 'lab', new Date())).toBe(0)
    expect((await findToken(catalogue.database, first.secret))?.revokedAt).toEqual(before)
    expect((await findToken(catalogue.database, second.secret))?.revokedAt).not.toBeNull()
    for (const nobody of ['4000000', '9'.repeat(400), 'nobody', ''])
      await expect(revokeTokens(catalogue.database, nobody, new Date())).rejects.toThrow(InvalidInputError)
  })

  it('is listed without what could lead to its secret', async () => {
    await make('listed')
    const [newest] = await listTokens(catalogue.database)
    expect(Object.keys(newest ?? {})).toEqual([
      'id',
      'name',
      'machine',
      'subject',
      'scopes',
      'createdAt',
      'expiresAt',
      'revokedAt',
      'lastUsedAt',
    ])
  })

  it.each<[string, readonly string[], number]>([
    ['', ['push:LNGS'], 1],
    ['123', ['push:LNGS'], 1],
    ['a b', ['push:LNGS'], 1],
    ['x'.repeat(101), ['push:LNGS'], 1],
    ['daq', [], 1],
    ['daq', ['push:LNGS', 'admin'], 1],
    ['daq', ['push:LNGS'], 0],
    ['daq', ['push:LNGS'], 1.5],
    ['daq', ['push:LNGS'], 4000],
    ['daq', ['push:LNGS'], Number.NaN],
  ])('"%s" for %j and %d days is not made', async (name, scopes, days) => {
    await expect(make(name, scopes, days)).rejects.toThrow(InvalidInputError)
  })
})

describe('the machine of a token made before machines were recorded', () => {
  const AT = new Date()
  let catalogue: TestCatalogue
  beforeAll(async () => {
    catalogue = await startTestCatalogue()
  })
  afterAll(() => catalogue?.close())
  const report = async (endpoint: string, tag: string) => {
    const object = { bucket: 'raw', key: `${tag}/run00001.mid.gz` }
    const version = { ...object, versionId: null, etag: endpoint, sizeBytes: 1, lastModified: AT }
    const metadata = metadataOf(1)
    await record(catalogue.database, version, metadata, { tag })
    const copy = { ...object, sha256: metadata.checksums.sha256, sizeBytes: metadata.sizeBytes }
    const context = { database: catalogue.database, now: () => AT, owner: 'test' }
    expect(
      await noteLocalCopy(context, { ...copy, host: endpoint, path: '/data/run00001.mid.gz' }),
    ).not.toBeNull()
  }
  const old = async (name: string, ...scopes: string[]) => {
    const { secret } = await createToken(catalogue.database, { name, scopes, days: 1 }, AT)
    await sql`UPDATE api_tokens SET machine = NULL WHERE name = ${name}`.execute(catalogue.database)
    return async (host: string) => {
      const token = await findToken(catalogue.database, secret)
      return token === null ? null : await machineOf(catalogue.database, token, host)
    }
  }

  it('is its name, if no file was reported, or files of several machines', async () => {
    expect(await (await old('none', 'push:MAN'))('daq01')).toBe('none')
    await report('daq01', 'MAN')
    await report('daq02', 'LNF')
    expect(await (await old('several', 'push:MAN', 'push:LNF'))('daq01')).toBe('several')
    expect(await (await old('every', 'push:*'))('daq01')).toBe('every')
  })

  it('is the only machine with files of its tags, unless the machine of its name reports first; it remains that', async () => {
    await report('daq03', 'ONE')
    const other = await old('daq-one', 'push:ONE')
    expect([await other('daq03'), await other('daq-one'), await other('daq04')]).toEqual(
      Array(3).fill('daq03'),
    )
    const own = await old('daq05', 'push:ONE')
    expect([await own('daq05'), await own('daq03')]).toEqual(['daq05', 'daq05'])
  })
})
