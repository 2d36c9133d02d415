/**
 * File paths for object keys. A key is any text of up to 1024 bytes, but not every text is a path: `.`, `..`, an
 * empty part, a part longer than 255 bytes or a control character would leave the folder, collide or fail. Ordinary
 * keys are unchanged, so that `LNGS/run12345.mid.gz` is found under that name.
 */
import { join } from 'node:path'
import S3Error from '@20minutes/s3rver/lib/models/error.js'

/** Longest key of S3, bytes of UTF-8. */
const LONGEST_KEY_BYTES = 1024
/**
 * Characters of one part of a path: at most 3 bytes each (4 for two), so that a suffix still fits into 255
 * bytes.
 */
const LONGEST_PART = 70
/**
 * Ends the name of a folder whose content continues the same part of the key. A `%` of the key itself is
 * written %25.
 */
const CONTINUED = '%more'
const EMPTY_PART = '%empty'
/** Control characters, and the percent sign that escapes them. */
const UNSAFE = /[%\p{Cc}]/gu

/** @throws S3Error when the key is longer than S3 allows. */
export function checkKey(key: string): void {
  if (Buffer.byteLength(key) > LONGEST_KEY_BYTES)
    throw new S3Error('KeyTooLongError', 'Your key is too long', { Size: Buffer.byteLength(key) })
}

/** The path of a key below its bucket's folder, without a suffix. */
export function keyToPath(key: string): string {
  return join(...key.split('/').map(partToPath))
}

function partToPath(part: string): string {
  if (part === '') return EMPTY_PART
  const escaped = part.replace(
    UNSAFE,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
  )
  if (escaped === '.' || escaped === '..') return escaped.replaceAll('.', '%2E')
  const pieces = escaped.match(new RegExp(`(?:%[0-9A-F]{2}|[^%]){1,${LONGEST_PART}}`, 'gu')) ?? []
  return pieces.join(`${CONTINUED}/`)
}

/** The order in which S3 lists keys: by their UTF-8 bytes. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0
  const simple = !/[\ud800-\udfff]/.test(a + b)
  return simple ? (a < b ? -1 : 1) : Buffer.compare(Buffer.from(a), Buffer.from(b))
}
