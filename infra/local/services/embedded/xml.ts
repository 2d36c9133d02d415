/** The XML that the embedded S3 answers with: elements and text, no more. */

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
