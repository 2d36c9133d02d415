/** The XML of the embedded S3: answers with elements and text only, and bodies of requests. */
import type { Readable } from 'node:stream'
import S3Error from '@20minutes/s3rver/lib/models/error.js'

/** The name of an element with its text or its elements. */
export type Element = readonly [name: string, content: string | readonly Element[]]

/** The element as a document in the namespace of S3. */
export function xmlDocument(root: Element): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${toXml(root).replace('>', ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/">')}`
}

function toXml([name, content]: Element): string {
  return `<${name}>${typeof content === 'string' ? escapeXml(content) : content.map(toXml).join('')}</${name}>`
}

/** Also escapes control characters: keys may have them, but not XML. */
function escapeXml(value: string): string {
  return value.replace(/[&<>"\p{Cc}]/gu, (character) => `&#${character.charCodeAt(0)};`)
}

/** The body of a request as text. @throws S3Error MalformedXML when it is longer than the limit. */
export async function xmlText(body: Readable, limitBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > limitBytes) throw malformedXml()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

export function malformedXml(): S3Error {
  return new S3Error(
    'MalformedXML',
    'The XML you provided was not well-formed or did not validate against our published schema',
  )
}
