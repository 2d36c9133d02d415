/**
 * Deletions of the embedded S3 that s3rver handles incorrectly. DeleteObjects: its XML reader reads the key `123`
 * as a number, and then finds no such key; here every key is text. DELETE with If-Match: it ignores the condition.
 */
import type { Readable } from 'node:stream'
import S3Error from '@20minutes/s3rver/lib/models/error.js'
import type { EmbeddedStore } from './store.ts'
import { type Element, malformedXml, xmlDocument, xmlText } from './xml.ts'

/** The limits of S3: 1000 keys of 1024 bytes, at most all bytes escaped, and the XML around them. */
const LARGEST_REQUEST_BYTES = 8 * 1024 * 1024
const MOST_KEYS = 1000
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/**
 * Answer to `POST /bucket?delete`: deletes every key in the body. A missing key counts as deleted.
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
 * DELETE with a condition on the ETag, as in general purpose buckets of S3: 412 when the key has another object,
 * 404 when it has none. The comparison and the deletion are one step: no PUT can happen in between.
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
