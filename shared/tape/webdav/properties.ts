/** PROPFIND (RFC 4918): the entries of a folder, and the size of a file. */
import * as z from 'zod'
import { TransientError } from '../../errors.ts'
import { cutText } from '../../text.ts'
import { textOf } from '../http/exchange.ts'
import { refusal } from './answers.ts'
import { discard, type TapeHttp } from './http.ts'
import { decoded } from './places.ts'

export interface Entry {
  /** The last segment of its path, decoded; empty for the requested path itself. */
  readonly segment: string
  readonly isFolder: boolean
  /** Null where the endpoint states none. */
  readonly sizeBytes: number | null
}

/** A folder of 77 000 runs takes about 40 MB, as XRootD writes it. */
const MOST_BYTES = 96 * 1024 * 1024
const PROPFIND_BODY =
  '<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/><D:getcontentlength/></D:prop></D:propfind>'

/**
 * The properties of a file or folder (depth 0), or of a folder and its entries (depth 1); null when it does
 * not exist.
 * @throws TransientError for an answer that is malformed, too long, or about another path.
 */
export async function findProperties(
  http: TapeHttp,
  url: string,
  depth: 0 | 1,
  signal: AbortSignal,
): Promise<readonly Entry[] | null> {
  const what = `the ${depth === 0 ? 'properties' : 'listing'} of ${new URL(url).pathname}`
  const headers = { Depth: String(depth), 'Content-Type': 'application/xml; charset=utf-8' }
  const answer = await http.request(
    { method: 'PROPFIND', url, what, headers, body: { text: PROPFIND_BODY } },
    signal,
  )
  if (answer.status === 404 || answer.status === 410) {
    await discard(answer)
    return null
  }
  if (answer.status !== 207) throw await refusal(answer, what)
  return parseMultistatus(await textOf(answer, what, MOST_BYTES, signal), new URL(url).pathname)
}

/**
 * The size of the file at an address; null where none is stated, or several. An endpoint may describe more than
 * was asked for: only its entry for the address itself counts.
 */
export async function statedSize(http: TapeHttp, url: string, signal: AbortSignal): Promise<number | null> {
  const own = ((await findProperties(http, url, 0, signal)) ?? []).filter(({ segment }) => segment === '')
  const [first = null, ...others] = own.map(({ sizeBytes }) => sizeBytes)
  return others.every((other) => other === first) ? first : null
}

/** Element names without prefixes, texts not interpreted. Lists are arrays even with a single entry. */
const propstat = z.object({
  status: z.string().optional(),
  prop: z.union([
    z.literal(''),
    z.object({
      resourcetype: z.unknown().optional(),
      /** Of Apache and XRootD: 1 for a folder. */
      iscollection: z.unknown().optional(),
      getcontentlength: z.union([z.string(), z.array(z.string())]).optional(),
    }),
  ]),
})
const multistatus = z.object({
  multistatus: z.union([
    z.literal(''),
    z.object({
      response: z
        .array(z.object({ href: z.string().min(1), propstat: z.array(propstat).default([]) }))
        .default([]),
    }),
  ]),
})

/**
 * Reads a multistatus document about the folder or file at `path` (as in the address, encoded).
 * @throws TransientError when it is not well-formed, has another structure, or names something outside the
 * folder.
 */
export async function parseMultistatus(xml: string, path: string): Promise<readonly Entry[]> {
  const { XMLParser, XMLValidator } = await import('fast-xml-parser')
  // Entities of a document type are the only way for a text to grow while it is parsed, and no answer needs
  // one.
  if (xml.includes('<!DOCTYPE')) throw malformed('it holds a document type')
  const validity = XMLValidator.validate(xml)
  if (validity !== true) throw malformed(`${validity.err.msg} (line ${validity.err.line})`)
  const parser = new XMLParser({
    removeNSPrefix: true,
    ignoreAttributes: true,
    ignoreDeclaration: true,
    parseTagValue: false,
    htmlEntities: true, // including numeric ones
    isArray: (name) => name === 'response' || name === 'propstat',
  })
  const parsed = multistatus.safeParse(parseWith(parser, xml))
  if (!parsed.success)
    throw malformed(`${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`)
  const { multistatus: found } = parsed.data
  const responses = found === '' ? [] : found.response
  const requested = pathInAnswer(
    plainPath(path),
    responses.map(({ href }) => plainPath(href)),
  )
  return responses.map((response) => {
    const props = response.propstat
      .filter(({ status }) => status === undefined || / 200( |$)/.test(status))
      .map(({ prop }) => prop)
    const lengths = props.flatMap((prop) => (prop === '' ? [] : [prop.getcontentlength ?? []].flat()))
    return {
      segment: segmentBelow(requested, response.href),
      isFolder: response.href.endsWith('/') || props.some((prop) => prop !== '' && isCollection(prop)),
      sizeBytes: sizeOf(lengths),
    }
  })
}

/** Null also where contradictory sizes are stated. */
function sizeOf(lengths: readonly string[]): number | null {
  const [first = '', ...others] = lengths
  return /^\d+$/.test(first) && others.every((other) => other === first) ? Number(first) : null
}

const malformed = (why: string) => new TransientError(`the endpoint's listing cannot be read: ${why}`)

function parseWith(parser: { parse(xml: string): unknown }, xml: string): unknown {
  try {
    return parser.parse(xml)
  } catch (cause) {
    throw malformed(cause instanceof Error ? cause.message.slice(0, 200) : 'it is not XML')
  }
}

const isCollection = (prop: { readonly resourcetype?: unknown; readonly iscollection?: unknown }) =>
  [prop.iscollection].flat().includes('1') ||
  [prop.resourcetype].flat().some((type) => typeof type === 'object' && type !== null && 'collection' in type)

/**
 * The requested path as the answer writes it. dCache may write paths below the root of its namespace: without
 * any that begins as requested, the shortest one is meant if it has the same last segment.
 */
function pathInAnswer(requested: string, paths: readonly string[]): string {
  if (paths.some((path) => path === requested || path.startsWith(`${requested}/`))) return requested
  const [shortest] = paths.toSorted((a, b) => a.length - b.length)
  const isRewritten = shortest !== undefined && lastSegment(shortest) === lastSegment(requested)
  return isRewritten ? shortest : requested
}

const lastSegment = (path: string) => path.slice(path.lastIndexOf('/') + 1)

function segmentBelow(requested: string, href: string): string {
  const path = plainPath(href)
  if (path === requested) return ''
  const segment = path.startsWith(`${requested}/`) ? path.slice(requested.length + 1) : null
  if (segment === null || segment === '.' || segment === '..' || segment.includes('/'))
    throw malformed(`it names something outside the folder (${cutText(href, 200)})`)
  return segment
}

/**
 * The decoded path of an address, without a trailing slash. Some endpoints (XRootD 5.5) do not encode it: a
 * path that is not validly encoded is used unchanged.
 */
function plainPath(href: string): string {
  const afterHost = /^https?:\/\/[^/]*/i.exec(href)?.[0].length ?? 0
  const bare = href
    .slice(afterHost)
    .replace(/\/{2,}/g, '/')
    .replace(/\/$/, '')
  return /^(?:[\w\-.~!$&'()*+,;=:@/]|%[0-9a-f]{2})*$/i.test(bare) ? (decoded(bare) ?? bare) : bare
}
