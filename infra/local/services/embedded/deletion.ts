/**
 * Deletions of the embedded S3 that s3rver gets wrong. DeleteObjects: it reads the list of keys with an XML
 * reader that takes `123` for a number, and then finds no such key; here a key is a text, whatever it looks
 * like. DELETE with If-Match: it ignores the condition.
 */
import type { Readable } from 'node:stream'
import S3Error from '@20minutes/s3rver/lib/models/error.js'
import type { EmbeddedStore } from './store.ts'
import { type Element, malformedXml, xmlDocument, xmlText } from './xml.ts'

/** S3's limits: 1000 keys of 1024 bytes, each byte escaped at worst, and some XML around them. */
const LARGEST_REQUEST_BYTES = 8 * 1024 * 1024
const MOST_KEYS = 1000
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/**
 * Answer to `POST /bucket?delete`: deletes every key named in the body. A key that is not there counts as
 * deleted.
 */
export async function deleteObjects(store: EmbeddedStore, bucket: string, body: Readable): Promise<string> {
  const xml = await xmlText(body, LARGEST_REQUEST_BYTES)
  const keys = [...xml.matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) => unescapeXml(match[1] ?? ''))
  if (!xml.includes('<Delete') || keys.length === 0 || keys.length > MOST_KEYS) throw malformedXml()
  for (const key of keys) await store.deleteObject(bucket, key)
  const quiet = /<Quiet>\s*true\s*<\/Quiet>/.test(xml)
  return xmlDocument(['DeleteResult', quiet ? [] : keys.map((key): Element => ['Deleted', [['Key', key]]])])
}

/**
 * DELETE on condition of an ETag, as S3's general purpose buckets do it: 412 when the key holds another
 * object, 404 when it holds none. Compared and deleted in one step: no PUT comes between.
 */
export async function deleteIfMatch(
  store: EmbeddedStore,
  bucket: string,
  key: string,
  wanted: string,
): Promise<void> {
  const found = store.find(bucket, key)
  if (found === undefined) throw new S3Error('NoSuchKey', 'The specified key does not exist.', { Key: key })
  if (wanted !== '*' && wanted.replaceAll('"', '') !== found.etag) throw preconditionFailed('If-Match')
  await store.deleteObject(bucket, key)
}

export function preconditionFailed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', {
    Condition: condition,
  })
}

function unescapeXml(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));/gi,
    (whole, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name] ?? whole
      const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
      if (code > 0x10ffff) throw malformedXml()
      return String.fromCodePoint(code)
    },
  )
}
