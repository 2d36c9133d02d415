/** The parsers of endpoint answers, with any input. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { shown } from '../../../shared/tape/http/failures.ts'
import { isTemporary } from '../../../shared/tape/names.ts'
import { compareDigest } from '../../../shared/tape/webdav/digest.ts'
import { readMarkers } from '../../../shared/tape/webdav/markers.ts'
import { createPlaces, temporaryName } from '../../../shared/tape/webdav/places.ts'
import { parseMultistatus } from '../../../shared/tape/webdav/properties.ts'
import { tapeFileOf } from '../../support/tape/files.ts'

const markers = { progressMs: 1000, now: () => 0 }

async function* inPieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  for (const [index, from] of places.entries()) yield bytes.subarray(from, places[index + 1] ?? bytes.length)
}

describe('the stream of markers', () => {
  it('the stream of markers is parsed the same however it is cut into pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('\n', '\r\n'),
        fc.constantFrom('success', 'failure', 'aborted'),
        fc.nat({ max: 999_999_999_999_999 }),
        fc.boolean(),
        fc.array(fc.nat({ max: 400 }), { maxLength: 20 }),
        async (end, word, bytes, ended, cuts) => {
          const lines = [
            'Perf Marker',
            'Timestamp: 1',
            `Stripe Bytes Transferred: ${bytes}`,
            'End',
            `${word}: why`,
          ]
          const text = Buffer.from(lines.join(end) + (ended ? end : ''))
          const found = await readMarkers(inPieces(text, cuts), markers)
          expect(found).toEqual({
            kind: word === 'success' ? 'success' : 'failure',
            text: 'why',
            bytesMoved: bytes,
          })
        },
      ),
    )
  })

  it('for any input only a separate line is a success, and nothing throws', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), fc.array(fc.nat(3000)), async (noise, cuts) => {
        const found = await readMarkers(inPieces(Buffer.from(noise), cuts), markers)
        if (found.kind === 'success')
          expect(Buffer.from(noise).toString('latin1')).toMatch(/(^|\n)\s*success/i)
      }),
    )
    const inside = Buffer.from('RemoteConnections: success: Created\nsuccessful\nunsuccess: x\n')
    expect(await readMarkers(inPieces(inside, []), markers)).toMatchObject({ kind: 'unknown' })
  })

  it('a line of many megabytes is cut, and the following lines are read', async () => {
    async function* long() {
      for (let count = 0; count < 200; count += 1) yield Buffer.alloc(65_536, 'x')
      yield Buffer.from('\nsuccess: Created')
    }
    expect(await readMarkers(long(), markers)).toMatchObject({ kind: 'success' })
  })
})

describe('a stated checksum', () => {
  it('a stated checksum is compared as a number, whatever its zeros and capitals', async () => {
    await fc.assert(
      fc.property(fc.nat(0xffffffff), fc.boolean(), (value, capitals) => {
        const bare = value.toString(16)
        const file = { adler32: bare.padStart(8, '0'), md5: '', sha256: '' }
        expect(compareDigest(`adler32=${capitals ? bare.toUpperCase() : bare}`, file).kind).toBe('same')
        const other = ((value + 1) % 2 ** 32).toString(16)
        expect(compareDigest(`adler32=${other}`, file).kind).toBe('different')
      }),
    )
  })

  it('a stated checksum is accepted in base64 and in hex', () => {
    const hash = (name: string, encoding: 'hex' | 'base64') => createHash(name).update('run').digest(encoding)
    const file = { adler32: '00000001', md5: hash('md5', 'hex'), sha256: hash('sha256', 'hex') }
    for (const stated of [
      `MD5=${hash('md5', 'base64')}`,
      `md5=${file.md5}`,
      `SHA-256=${hash('sha256', 'base64')}`,
    ])
      expect(compareDigest(stated, file).kind).toBe('same')
  })

  it('a checksum stated as a structured field is compared with the others', () => {
    const hash = (name: string, encoding: 'hex' | 'base64') => createHash(name).update('run').digest(encoding)
    const file = { adler32: '00c0ffee', md5: hash('md5', 'hex'), sha256: hash('sha256', 'hex') }
    const compare = (reprDigest: string, digest: string | null = null) =>
      compareDigest(digest, file, reprDigest).kind
    for (const stated of [
      'adler=:AMD/7g==:',
      'ADLER=:AMD/7g==:',
      `md5=:${hash('md5', 'base64')}:`,
      `sha-256=:${hash('sha256', 'base64')}:;by="disk"`,
      `sha-512=:${hash('sha512', 'base64')}:,  sha-256=:${hash('sha256', 'base64')}: , unixsum=:AA==:`,
    ])
      expect(compare(stated)).toBe('same')
    expect(compare('adler=:AMD/7w==:')).toBe('different')
    expect(compare(`md5=:${hash('md5', 'base64')}:, adler=:AMD/7w==:`)).toBe('different')
    expect(compare(`md5=:${hash('md5', 'base64')}:`, 'adler32=00c0ffef')).toBe('different')
    expect(compare('adler=:AMD/7w==:', 'adler32=00c0ffee')).toBe('different')
    // Other forms are no structured field with bytes, or bytes of another checksum.
    for (const stated of [
      'adler=00c0ffee',
      'adler=AMD/7g==',
      'adler="AMD/7g=="',
      'adler=:wP/u:',
      'adler=::',
      `md5=:${Buffer.from(file.md5).toString('base64')}:`,
      'adler',
      'adler=:AMD/7g==',
      '',
    ])
      expect(compare(stated)).toBe('unknown')
  })

  it('an invalid checksum does not count as one', () => {
    const file = { adler32: '00000001', md5: 'x', sha256: 'y' }
    fc.assert(
      fc.property(
        fc.string(),
        (noise) => void expect(compareDigest(`md5=%${noise.replaceAll(',', '')}`, file).kind).toBe('unknown'),
      ),
    )
    for (const name of ['constructor', '__proto__', 'toString', 'valueOf'])
      expect(compareDigest(`${name}=00000001`, file).kind).toBe('unknown')
    expect(compareDigest(null, file).kind).toBe('unknown')
  })
})

it('an invalid listing is one of our errors, never another', async () => {
  const pieces = fc.constantFrom(
    '<D:multistatus xmlns:D="DAV:">',
    '</D:multistatus>',
    '<response>',
    '</response>',
    '<href>',
    '</href>',
    '/a/b',
    '&',
    '<',
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(pieces, fc.string()), { maxLength: 12 }), async (parts) => {
      await parseMultistatus(parts.join(''), '/a/').catch((error: Error) =>
        expect(error.name).toBe('TransientError'),
      )
    }),
  )
})

it.each([
  [
    'in a page',
    'https://s3/b/k?X-Amz-Credential=AKID&amp;X-Amz-Security-Token=abc&amp;X-Amz-Signature=0123abc',
  ],
  ['encoded once more', 'https%3A%2F%2Fs3%2Fb%2Fk%3FX-Amz-Credential%3DAKID%26X-Amz-Signature%3D0123abc'],
  ['in JSON', '{"url":"https://s3/b/k?X-Amz-Credential=AKID\\u0026X-Amz-Signature=0123abc"}'],
  ['as a rest', 'X-Amz-Credential=AKID&X-Amz-Signature=0123abc'],
  ['of another kind', 'https://s3/b/k?AWSAccessKeyId=AKID&Signature=0123abc&Expires=1'],
  ['of a macaroon', 'https://door/b/k?authz=0123abc'],
  ['a token by itself', 'cannot parse eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIwMTIzYWJjIn0.0123abc'],
])('a link that an endpoint repeats %s is shown without its signature', (_, text) => {
  expect(shown(text)).not.toMatch(/0123abc|AKID/)
})

it('external texts become one short line without secrets', () => {
  const link = 'https://s3/b/k?X-Amz-Credential=me&X-Amz-Signature=abc'
  const text = shown(
    `<h1>Error</h1>\r\n\u001b[31mcannot read ${link} with Bearer abcdef.ghi\u0000${'!'.repeat(1000)}`,
    [link],
  )
  expect(text).toMatch(/^Error \[31mcannot read \*\*\* with Bearer \*\*\* !+$/)
  expect(text.length).toBeLessThanOrEqual(300)
})

describe('temporary names', () => {
  it('temporary names are equal for the same file, differ for other contents, and are never the name of a copy', async () => {
    const [file, other] = [
      await tapeFileOf(Buffer.from('a'), 'b/LNGS/run1.mid.gz'),
      await tapeFileOf(Buffer.from('b'), 'b/LNGS/run1.mid.gz'),
    ]
    expect(temporaryName(file)).toBe(temporaryName({ ...file }))
    expect(temporaryName(file)).not.toBe(temporaryName(other))
    expect(temporaryName(file)).toMatch(/^b\/LNGS\/\.cygnet-12345-[0-9a-f]{12}\.part$/)
    expect(isTemporary('run1.mid.gz')).toBe(false)
  })

  it('an endpoint with and without a slash at its end is the same', () => {
    const name = 'b/LNGS/run 1.mid.gz'
    expect(createPlaces('davs://tape.example.org:8443/cygno').url(name)).toBe(
      'https://tape.example.org:8443/cygno/b/LNGS/run%201.mid.gz',
    )
    expect(createPlaces('dav://tape.example.org/a%20b/').path(name)).toBe('/a b/b/LNGS/run 1.mid.gz')
  })
})
