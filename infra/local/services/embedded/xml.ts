/** The XML that the embedded S3 answers with, elements and text, no more; and that it is sent. */
import type { Readable } from 'node:stream'
import S3Error from '@20minutes/s3rver/lib/models/error.js'

/** An element's name with its text, or with the elements in it. */
export type Element = readonly [name: string, content: string | readonly Element[]]

/** The element as a document of S3's namespace. */
export function xmlDocument(root: Element): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${toXml(root).replace('>', ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/">')}`
}

function toXml([name, content]: Element): string {
  return `<${name}>${typeof content === 'string' ? escapeXml(content) : content.map(toXml).join('')}</${name}>`
}

/** Control characters too: XML cannot hold them as they are, and keys may have them. */
function escapeXml(value: string): string {
  return value.replace(/[&<>"\p{Cc}]/gu, (character) => `&#${character.charCodeAt(0)};`)
}

/** The body of a request whose XML may be so long. @throws S3Error MalformedXML when it is longer. */
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
