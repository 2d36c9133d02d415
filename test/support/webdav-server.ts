/**
 * A small WebDAV endpoint with third-party copy. It refuses what StoRM WebDAV, dCache or XRootD would refuse.
 * A test injects faults per request with `meet`.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Adler32 } from '../../shared/extraction/adler32.ts'
import { startHttpServer } from './http-server.ts'
import { type Answering, type MarkerStyle, PLAIN_MARKERS, thirdPartyCopy } from './webdav-copy.ts'

export interface Met {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Name below the root, decoded. */
  readonly name: string
  /** Handles the request as the endpoint normally does. */
  proceed(): Promise<void>
}
type Meeting = (met: Met) => Promise<void> | void

export interface WebdavServer {
  /** `http://127.0.0.1:<port>/cygno/` */
  readonly url: string
  /** Contents by name below the root. */
  readonly files: Map<string, Buffer>
  /** The answers of other paths of the host, e.g. the well-known address of a Tape REST API. */
  readonly elsewhere: Map<string, () => Promise<Response>>
  /** Every request so far, as `METHOD name`. */
  readonly log: string[]
  /** The bearer token that it requires; null for none. */
  token: string | null
  /** The checksum that it states, with `repr-` in the Repr-Digest of RFC 9530 only. */
  digest: 'adler32' | 'md5' | 'repr-adler32' | 'repr-md5' | 'repr-sha256' | 'none'
  markers: MarkerStyle
  /**
   * False: as XRootD 5.5, which takes the Destination of a MOVE without decoding it, makes the folders above it
   * and replaces what has the name.
   */
  decodesDestination: boolean
  /** Handles the next `times` requests with this method. */
  meet(method: string, meeting: Meeting, times?: number): void
  close(): Promise<void>
}

const ROOT = '/cygno/'
export async function startWebdavServer(): Promise<WebdavServer> {
  const folders = new Set([''])
  const meetings: { readonly method: string; readonly meeting: Meeting; times: number }[] = []
  const http = await startHttpServer((request, response) => {
    const name = nameOf(request)
    endpoint.log.push(`${request.method} ${name ?? request.url}`)
    request.on('error', () => {})
    const proceed = () => serve(endpoint, folders, request, response, name)
    const met = meetings.find((entry) => entry.method === request.method && entry.times > 0)
    if (met !== undefined) met.times -= 1
    const work = met === undefined ? proceed() : met.meeting({ request, response, name: name ?? '', proceed })
    Promise.resolve(work).catch(() => response.destroy())
  })
  const endpoint: WebdavServer = {
    url: `${http.origin}${ROOT}`,
    files: new Map(),
    elsewhere: new Map(),
    log: [],
    token: null,
    digest: 'adler32',
    markers: PLAIN_MARKERS,
    decodesDestination: true,
    meet: (method, meeting, times = 1) => void meetings.push({ method, meeting, times }),
    close: () => http.close(),
  }
  return endpoint
}

/** Null for a path outside the root or one that is not encoded correctly. */
function nameOf(request: IncomingMessage): string | null {
  const [path = ''] = (request.url ?? '').split('?')
  if (!`${path}/`.startsWith(ROOT)) return null
  try {
    return decodeURIComponent(path.slice(ROOT.length)).replace(/\/$/, '')
  } catch {
    return null
  }
}

const parentOf = (name: string) => name.slice(0, Math.max(0, name.lastIndexOf('/')))

/** Folders that were made, and those above files that tests added. */
const hasFolder = (endpoint: WebdavServer, folders: ReadonlySet<string>, name: string) =>
  folders.has(name) || [...endpoint.files.keys()].some((file) => file.startsWith(`${name}/`))

async function serve(
  endpoint: WebdavServer,
  folders: Set<string>,
  request: IncomingMessage,
  response: ServerResponse,
  name: string | null,
): Promise<void> {
  const answer = async (status: number, text = '', headers: Record<string, string> = {}) => {
    request.resume()
    response.writeHead(status, {
      'content-type': 'text/plain',
      'content-length': Buffer.byteLength(text),
      ...headers,
    })
    response.end(request.method === 'HEAD' ? undefined : text)
  }
  if (endpoint.token !== null && request.headers.authorization !== `Bearer ${endpoint.token}`)
    return answer(401, 'Full authentication is required', { 'www-authenticate': 'Bearer' })
  const other = await endpoint.elsewhere.get(request.url ?? '')?.()
  if (other !== undefined)
    return answer(other.status, await other.text(), {
      'content-type': other.headers.get('content-type') ?? 'text/plain',
    })
  if (name === null) return answer(404, 'Not found')
  const file = endpoint.files.get(name)
  const isFolder = hasFolder(endpoint, folders, name)
  switch (request.method) {
    case 'HEAD':
    case 'GET':
      if (file === undefined) return answer(404, 'Not found')
      return give(endpoint, request, response, file)
    case 'PUT': {
      if (isFolder) return answer(405, 'a collection')
      if (request.headers['content-length'] === undefined) return answer(411, 'Length Required')
      if (!hasFolder(endpoint, folders, parentOf(name))) return answer(409, 'Conflict')
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      endpoint.files.set(name, Buffer.concat(chunks))
      return answer(file === undefined ? 201 : 204)
    }
    case 'DELETE':
      if (file === undefined) return answer(404, 'Not found')
      endpoint.files.delete(name)
      return answer(204)
    case 'MKCOL':
      if (request.headers['content-length'] !== undefined && request.headers['content-length'] !== '0')
        return answer(415)
      if (isFolder || file !== undefined) return answer(405, 'exists')
      if (!hasFolder(endpoint, folders, parentOf(name))) return answer(409, 'Conflict')
      folders.add(name)
      return answer(201)
    case 'MOVE': {
      const [, host, path = ''] = /^http:\/\/([^/]*)(.*)$/.exec(String(request.headers.destination)) ?? []
      if (host !== request.headers.host) return answer(502, 'another server')
      const written = path.slice(ROOT.length)
      if (file === undefined) return answer(404, 'Not found')
      if (!endpoint.decodesDestination) {
        endpoint.files.delete(name)
        endpoint.files.set(Buffer.from(written, 'latin1').toString(), file)
        return answer(201)
      }
      const target = decodeURIComponent(written)
      if (!hasFolder(endpoint, folders, parentOf(target))) return answer(409, 'Conflict')
      if (request.headers.overwrite === 'F' && endpoint.files.has(target))
        return answer(412, 'Precondition Failed')
      endpoint.files.delete(name)
      endpoint.files.set(target, file)
      return answer(201)
    }
    case 'PROPFIND':
      return propfind(endpoint, folders, request, name, answer)
    case 'COPY':
      return thirdPartyCopy(
        {
          files: endpoint.files,
          markers: endpoint.markers,
          hasParent: hasFolder(endpoint, folders, parentOf(name)),
        },
        request,
        response,
        name,
        answer,
      )
    default:
      return answer(501)
  }
}

function give(
  endpoint: WebdavServer,
  request: IncomingMessage,
  response: ServerResponse,
  file: Buffer,
): void {
  const etag = `"${createHash('md5').update(file).digest('hex')}"`
  const headers = { etag, 'accept-ranges': 'bytes', ...statedDigest(endpoint.digest, request, file) }
  if (request.headers['if-match'] !== undefined && request.headers['if-match'] !== etag)
    return void response.writeHead(412).end()
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
  const [from, to] = range === null ? [0, file.length] : [Number(range[1]), Number(range[2]) + 1]
  const part = file.subarray(from, to)
  const more = range === null ? {} : { 'content-range': `bytes ${from}-${to - 1}/${file.length}` }
  response.writeHead(range === null ? 200 : 206, { ...headers, ...more, 'content-length': part.length })
  response.end(request.method === 'HEAD' ? undefined : part)
}

/** As tape systems state it: without leading zeros, in upper case; MD5 in base64 (RFC 3230). */
function statedDigest(
  kind: WebdavServer['digest'],
  { headers }: IncomingMessage,
  file: Buffer,
): Record<string, string> {
  const hash = (name: string) => createHash(name).update(file).digest('base64')
  const adler = new Adler32()
  adler.update(file)
  const adler32 = adler.digest().toString(16)
  const stated = {
    none: null,
    adler32: `adler32=${adler32.toUpperCase()}`,
    md5: `md5=${hash('md5')}`,
    'repr-adler32': `adler=:${Buffer.from(adler32.padStart(8, '0'), 'hex').toString('base64')}:`,
    'repr-md5': `md5=:${hash('md5')}:`,
    'repr-sha256': `sha-512=:${hash('sha512')}:, sha-256=:${hash('sha256')}:;source=disk`,
  }[kind]
  const name = kind.startsWith('repr-') ? 'repr-digest' : 'digest'
  return stated === null || headers[`want-${name}`] === undefined ? {} : { [name]: stated }
}

async function propfind(
  endpoint: WebdavServer,
  folders: ReadonlySet<string>,
  request: IncomingMessage,
  name: string,
  answer: Answering,
): Promise<void> {
  const depth = request.headers.depth
  if (depth !== '0' && depth !== '1')
    return answer(403, '<error xmlns="DAV:"><propfind-finite-depth/></error>')
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  if (!Buffer.concat(chunks).toString().includes('propfind')) return answer(400, 'Bad Request')
  if (!hasFolder(endpoint, folders, name) && !endpoint.files.has(name)) return answer(404, 'Not found')
  const below = [...endpoint.files.keys(), ...folders, ...[...endpoint.files.keys()].flatMap(parentsOf)]
  const shown = new Set([
    name,
    ...(depth === '1'
      ? below.filter((entry) => entry !== '' && parentOf(entry) === name && entry !== name)
      : []),
  ])
  const responses = [...shown].map((entry) => {
    const size = endpoint.files.get(entry)?.length
    const href =
      `${ROOT}${entry.split('/').map(encodeURIComponent).join('/')}${size === undefined && entry !== '' ? '/' : ''}`.replaceAll(
        "'",
        '&apos;',
      )
    const prop =
      size === undefined
        ? '<d:resourcetype><d:collection/></d:resourcetype>'
        : `<d:resourcetype/><d:getcontentlength>${size}</d:getcontentlength>`
    return `<d:response><d:href>${href}</d:href><d:propstat><d:prop>${prop}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>`
  })
  await answer(
    207,
    `<?xml version="1.0" encoding="utf-8"?>\n<d:multistatus xmlns:d="DAV:">${responses.join('\n')}</d:multistatus>`,
    {
      'content-type': 'application/xml; charset=utf-8',
    },
  )
}

const parentsOf = (name: string): string[] => {
  const parent = parentOf(name)
  return parent === '' ? [] : [parent, ...parentsOf(parent)]
}
