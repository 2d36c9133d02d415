/**
 * Reads the files of a zip archive, as far as the packages of osls need it (APPNOTE.TXT 4.3, no ZIP64, no
 * encryption).
 */
import { inflateRawSync } from 'node:zlib'
import { InvalidInputError } from '../../shared/errors.ts'

export interface ZipEntry {
  readonly path: string
  readonly bytes: Buffer
}

const END_SIGNATURE = 0x06054b50
const END_BYTES = 22
const DIRECTORY_SIGNATURE = 0x02014b50
const DIRECTORY_BYTES = 46
const LOCAL_BYTES = 30
const DEFLATED = 8

/** @throws InvalidInputError when `zip` is not a zip archive. */
export function readZip(zip: Buffer): readonly ZipEntry[] {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  if (end < 0 || end + END_BYTES > zip.length || zip.readUInt32LE(end) !== END_SIGNATURE)
    throw new InvalidInputError('not a zip archive')
  const count = zip.readUInt16LE(end + 10)
  const entries: ZipEntry[] = []
  for (let index = 0, at = zip.readUInt32LE(end + 16); index < count; index++) {
    if (zip.readUInt32LE(at) !== DIRECTORY_SIGNATURE)
      throw new InvalidInputError('the directory of the zip archive is damaged')
    const pathBytes = zip.readUInt16LE(at + 28)
    const path = zip.toString('utf8', at + DIRECTORY_BYTES, at + DIRECTORY_BYTES + pathBytes)
    if (!path.endsWith('/')) entries.push({ path, bytes: contentOf(zip, at) })
    at += DIRECTORY_BYTES + pathBytes + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  return entries
}

/** The sizes are from the directory: the header before the content may omit them. */
function contentOf(zip: Buffer, directoryAt: number): Buffer {
  const local = zip.readUInt32LE(directoryAt + 42)
  const start = local + LOCAL_BYTES + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28)
  const content = zip.subarray(start, start + zip.readUInt32LE(directoryAt + 20))
  return zip.readUInt16LE(directoryAt + 10) === DEFLATED ? inflateRawSync(content) : content
}
