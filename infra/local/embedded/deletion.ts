/**
 * DeleteObjects of the embedded S3. s3rver reads the list of keys with an XML reader that takes `123` for a number, and
 * then finds no such key; here a key is a text, whatever it looks like.
 */
import type { Readable } from 'node:stream'
import S3Error from '@20minutes/s3rver/lib/models/error.js'
import type { EmbeddedStore } from './store.ts'
import { type Element, xmlDocument } from './xml.ts'

/** S3's limits: 1000 keys of 1024 bytes, each byte escaped at worst, and some XML around them. */
const LARGEST_REQUEST_BYTES = 8 * 1024 * 1024
const MOST_KEYS = 1000
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** Answer to `POST /bucket?delete`: deletes every key named in the body. A key that is not there counts as deleted. */
export async function deleteObjects(store: EmbeddedStore, bucket: string, body: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > LARGEST_REQUEST_BYTES) throw malformed()
    chunks.push(chunk)
  }
  const xml = Buffer.concat(chunks).toString('utf8')
  const keys = [...xml.matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) => unescapeXml(match[1] ?? ''))
  if (!xml.includes('<Delete') || keys.length === 0 || keys.length > MOST_KEYS) throw malformed()
  for (const key of keys) await store.deleteObject(bucket, key)
  const quiet = /<Quiet>\s*true\s*<\/Quiet>/.test(xml)
  return xmlDocument(['DeleteResult', quiet ? [] : keys.map((key): Element => ['Deleted', [['Key', key]]])])
}

function malformed(): S3Error {
  return new S3Error('MalformedXML', 'The XML you provided was not well-formed or did not validate against our published schema')
}

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined) return ENTITIES[name] ?? whole
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
    if (code > 0x10ffff) throw malformed()
    return String.fromCodePoint(code)
  })
}
