/** Parts of the packaging: the archive reader, and the replacement of iconv-lite in the bundles. */
import { crc32, deflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { getDecoder, getEncoder } from '../../../infra/lambda/iconv-lite.ts'
import { readZip } from '../../../infra/packaging/zip.ts'
import { InvalidInputError } from '../../../shared/errors.ts'

interface Member {
  readonly path: string
  readonly content: Buffer
  readonly deflated: boolean
}

/** Archives like those of osls: sizes after the content (flag 8), so that only the directory has them. */
function zipOf(members: readonly Member[]): Buffer {
  const local: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { path, content, deflated } of members) {
    const name = Buffer.from(path)
    const data = deflated ? deflateRawSync(content) : content
    const header = Buffer.alloc(30)
    header.writeUInt32LE(0x04034b50, 0)
    header.writeUInt16LE(8, 6)
    header.writeUInt16LE(name.length, 26)
    const descriptor = Buffer.alloc(16)
    const entry = Buffer.alloc(46)
    entry.writeUInt32LE(0x02014b50, 0)
    entry.writeUInt16LE(deflated ? 8 : 0, 10)
    entry.writeUInt32LE(crc32(content), 16)
    entry.writeUInt32LE(data.length, 20)
    entry.writeUInt32LE(content.length, 24)
    entry.writeUInt16LE(name.length, 28)
    entry.writeUInt32LE(offset, 42)
    const member = Buffer.concat([header, name, data, descriptor])
    local.push(member)
    directory.push(entry, name)
    offset += member.length
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(members.length, 10)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...local, ...directory, end])
}

describe('readZip', () => {
  test('readZip returns the files, deflated or stored, without folders', () => {
    const members = [
      { path: 'functions/a/lambda.js', content: Buffer.from('x'.repeat(5000)), deflated: true },
      { path: 'functions/', content: Buffer.alloc(0), deflated: false },
      { path: 'ü.txt', content: Buffer.from('stored'), deflated: false },
    ]
    const entries = readZip(zipOf(members)).map(({ path, bytes }) => [path, bytes.toString()])
    expect(entries).toEqual([
      ['functions/a/lambda.js', 'x'.repeat(5000)],
      ['ü.txt', 'stored'],
    ])
  })

  test.each([
    ['empty', Buffer.alloc(0)],
    ['something else', Buffer.from('not an archive at all, but long enough')],
    ['cut short', zipOf([{ path: 'a', content: Buffer.from('a'), deflated: false }]).subarray(0, -10)],
  ])('readZip refuses an archive that is %s', (_, bytes) => {
    expect(() => readZip(bytes)).toThrow(InvalidInputError)
  })
})

describe('the replacement of iconv-lite', () => {
  test('the replacement decodes the name of the server version, which mysql2 treats as CESU-8, also when a character is cut in two', () => {
    const bytes = Buffer.from('10.11-MariaDB-ü')
    const decoder = getDecoder('cesu8')
    expect(decoder.write(bytes.subarray(0, -1)) + decoder.write(bytes.subarray(-1)) + decoder.end()).toBe(
      '10.11-MariaDB-ü',
    )
  })

  test('the replacement decodes other encodings of Node', () => {
    const decoder = getDecoder('cp1251')
    expect(decoder.write(Buffer.from([0xcf, 0xf0])) + decoder.end()).toBe('Пр')
  })

  test('the replacement refuses unknown encodings', () => {
    expect(() => getDecoder('geostd8')).toThrow(RangeError)
    expect(() => getEncoder('sjis')).toThrow(RangeError)
  })

  test('the replacement encodes UTF-8', () => {
    expect(getEncoder('cesu8').write('ü')).toEqual(Buffer.from('ü'))
  })
})
