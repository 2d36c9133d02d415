/**
 * ODB dumps in XML, as written by MIDAS: `<odb root="/"><dir name=…><key name=… type=…>value</key>…`, arrays
 * as `<keyarray … num_values=…>` (older versions: a `<key>` with num_values) with `<value>` elements.
 *
 * Only this subset of XML is supported. Document types are refused, so that no entity can expand; parsing is
 * linear, with bounded depth. After a fault it continues with the next element.
 */
import { cutText } from '../../text.ts'
import { tidOfName } from '../tid.ts'
import {
  addNode,
  checkDepth,
  cleaned,
  countValues,
  DumpFault,
  newBuild,
  newDirectory,
  newKey,
  noteFaults,
  type OdbBuild,
  type OpenDirectory,
  openDirectory,
  type Scanner,
} from './builder.ts'
import type { OdbScalar } from './tree.ts'
import { valueOfText } from './values.ts'

interface Tag {
  readonly name: string
  readonly kind: 'open' | 'close' | 'empty'
  readonly attributes: ReadonlyMap<string, string>
}

/**
 * Parses a dump. Faults are in the build, with their positions.
 * @throws InvalidInputError when a limit is exceeded.
 */
export function parseXmlOdb(text: string): { root: OpenDirectory; build: OdbBuild } {
  const scanner: Scanner = { text, build: newBuild(), at: 0 }
  const root = newDirectory('')
  noteFaults(scanner, () => readTop(scanner, root))
  return { root, build: scanner.build }
}

function readTop(scanner: Scanner, root: OpenDirectory): void {
  const top = nextTag(scanner)
  if (top === undefined || top.kind === 'close' || (top.name !== 'odb' && top.name !== 'dir'))
    throw fault(scanner, 'it does not begin with <odb>')
  // The dump of a part of the ODB states its path.
  const path = (top.attributes.get('root') ?? '').split('/').filter((part) => part !== '')
  checkDepth(path.length)
  const start = path.reduce((directory, part) => openDirectory(scanner.build, directory, part), root)
  if (top.kind === 'open') readDirectory(scanner, start, top.name, path.length + 1)
}

function fault(scanner: Scanner, what: string): DumpFault {
  return new DumpFault(`ODB dump: not a valid ODB in XML at character ${scanner.at}: ${what}`)
}

function readDirectory(scanner: Scanner, directory: OpenDirectory, closing: string, depth: number): void {
  checkDepth(depth)
  let isOpen = true
  while (isOpen) {
    const from = scanner.at
    const isRead = noteFaults(scanner, () => {
      isOpen = readEntry(scanner, directory, closing, depth)
    })
    if (isRead) continue
    // After a fault: on with the next element, which is not the one at which this one began.
    ELEMENT.lastIndex = Math.max(scanner.at, from + 1)
    scanner.at = ELEMENT.exec(scanner.text)?.index ?? scanner.text.length
    isOpen = scanner.at < scanner.text.length
  }
}

const ELEMENT = /<(?:key|keyarray|dir)\s|<\/(?:dir|odb)>/g

/** Reads one key or directory into the directory. False at the end of the directory. */
function readEntry(scanner: Scanner, directory: OpenDirectory, closing: string, depth: number): boolean {
  const from = scanner.at
  const tag = nextTag(scanner)
  if (tag === undefined) throw fault(scanner, 'it ends inside a directory')
  if (tag.kind === 'close') {
    if (tag.name === closing) return false
    const wrong = fault(scanner, `</${tag.name}> closes <${closing}>`)
    if (tag.name !== 'odb') throw wrong
    // The directory has no end of its own: that of the dump is also of those around it.
    scanner.at = from
    noteFaults(scanner, () => {
      throw wrong
    })
    return false
  }
  const name = tag.attributes.get('name')
  if (name === undefined) throw fault(scanner, `<${tag.name}> has no name`)
  if (tag.name === 'dir') {
    const child = openDirectory(scanner.build, directory, name)
    if (tag.kind === 'open') readDirectory(scanner, child, 'dir', depth + 1)
  } else if (tag.name === 'key' || tag.name === 'keyarray') readKey(scanner, directory, name, tag)
  else throw fault(scanner, `<${tag.name}> is not part of an ODB`)
  return true
}

function readKey(scanner: Scanner, directory: OpenDirectory, name: string, tag: Tag): void {
  const type = tidOfName(tag.attributes.get('type') ?? '') ?? null
  const size = Number(tag.attributes.get('size') ?? Number.NaN)
  const itemSize = Number.isInteger(size) && size > 0 ? size : null
  const isArray = tag.name === 'keyarray' || tag.attributes.has('num_values')
  const read = (text: string) => {
    countValues(scanner.build, 1)
    return type === null ? undefined : valueOfText(type, text, scanner.build)
  }
  const values: OdbScalar[] = []
  const isWhole = !isArray || noteFaults(scanner, () => readValues(scanner, tag, values, read))
  if (!isWhole && values.length === 0) return
  const value = isArray ? values : read(tag.kind === 'empty' ? '' : readText(scanner, tag.name))
  const link =
    type !== null && tag.attributes.get('type') === 'LINK' && typeof value === 'string' ? value : null
  addNode(scanner.build, directory, newKey(name, type, value, link, itemSize))
}

/** Adds the elements to `values`. */
function readValues(
  scanner: Scanner,
  array: Tag,
  values: OdbScalar[],
  read: (text: string) => OdbScalar,
): void {
  if (array.kind === 'empty') return
  for (;;) {
    const tag = nextTag(scanner)
    if (tag === undefined) throw fault(scanner, 'it ends inside an array')
    if (tag.kind === 'close') {
      if (tag.name !== array.name) throw fault(scanner, `</${tag.name}> closes <${array.name}>`)
      return
    }
    if (tag.name !== 'value') throw fault(scanner, `<${tag.name}> inside an array`)
    const index = tag.attributes.get('index')
    if (index !== undefined && index !== String(values.length))
      throw fault(scanner, `element ${values.length} of an array says it is "${cutText(index, 20)}"`)
    values.push(read(tag.kind === 'empty' ? '' : readText(scanner, 'value')))
  }
}

/** The text up to the closing tag, which is consumed. */
function readText(scanner: Scanner, name: string): string {
  const closing = `</${name}>`
  const end = scanner.text.indexOf('<', scanner.at)
  if (end === -1 || !scanner.text.startsWith(closing, end)) throw fault(scanner, `${closing} was expected`)
  const text = decodeEntities(scanner, scanner.text.slice(scanner.at, end))
  scanner.at = end + closing.length
  return text
}

const TAG = /<(\/?)([A-Za-z]{1,20})((?:\s+[\w:.-]{1,60}\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y
const ATTRIBUTE = /([\w:.-]{1,60})\s*=\s*(?:"([^"]*)"|'([^']*)')/g

/**
 * The next tag, after blanks, comments and processing instructions; undefined at the end. Text between tags
 * is refused.
 */
function nextTag(scanner: Scanner): Tag | undefined {
  const { text } = scanner
  for (;;) {
    const open = text.indexOf('<', scanner.at)
    const between = text.slice(scanner.at, open === -1 ? undefined : open)
    if (/\S/.test(between)) throw fault(scanner, 'text stands between two elements')
    if (open === -1) return undefined
    scanner.at = open
    const skipped = text.startsWith('<!--', open) ? '-->' : text.startsWith('<?', open) ? '?>' : undefined
    if (skipped === undefined) break
    const end = text.indexOf(skipped, open)
    if (end === -1) throw fault(scanner, `a comment or instruction has no end`)
    scanner.at = end + skipped.length
  }
  if (text.startsWith('<!', scanner.at))
    throw fault(scanner, 'document types and CDATA are not part of an ODB and are refused')
  TAG.lastIndex = scanner.at
  const match = TAG.exec(text)
  if (match === null) throw fault(scanner, 'a broken tag')
  scanner.at = TAG.lastIndex
  const attributes = new Map<string, string>()
  for (const [, name = '', double, single] of (match[3] ?? '').matchAll(ATTRIBUTE))
    attributes.set(name, decodeEntities(scanner, double ?? single ?? ''))
  return {
    name: match[2] ?? '',
    kind: match[1] === '/' ? 'close' : match[4] === '/' ? 'empty' : 'open',
    attributes,
  }
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
])

/**
 * The five entities of XML and character numbers; anything else is kept unchanged (MIDAS did not always
 * encode names).
 */
function decodeEntities({ build }: Scanner, text: string): string {
  if (!text.includes('&')) return cleaned(build, text)
  const decoded = text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|([a-z]{2,4}));/g,
    (whole, decimal, hexadecimal, name) => {
      if (name !== undefined) return ENTITIES.get(name) ?? whole
      const code = decimal === undefined ? Number.parseInt(hexadecimal, 16) : Number(decimal)
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole
    },
  )
  return cleaned(build, decoded)
}
