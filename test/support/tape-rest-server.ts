/**
 * A tape system with the WLCG Tape REST API, version 1, which refuses what the reference document does not
 * allow. Files move only when a test moves them.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { startHttpServer } from './http-server.ts'

type Locality = 'DISK' | 'TAPE' | 'DISK_AND_TAPE' | 'LOST' | 'NONE' | 'UNAVAILABLE'
interface StageRequest {
  readonly id: string
  readonly paths: readonly string[]
  readonly diskLifetime: readonly string[]
  /** All of its files were. */
  readonly released: boolean
  readonly cancelled: boolean
  readonly releasedPaths: Set<string>
  readonly cancelledPaths: Set<string>
}

export interface TapeRestServer {
  /** `http://127.0.0.1:<port>`: the host whose well-known address names the API. */
  readonly origin: string
  /** By path; other paths are errors. */
  readonly localities: Map<string, Locality>
  readonly requests: StageRequest[]
  /** The reported state of a file of a stage request; by default `onDisk` from its locality. */
  readonly stageStates: Map<string, Record<string, unknown>>
  /** Paths that `archiveinfo` omits. */
  readonly omitted: Set<string>
  /** The path under which it answers for a file. */
  pathInAnswers: (path: string) => string
  token: string | null
  /** Sets the next answers of a call (`GET /stage`, `POST /archiveinfo` …), which are sent unchanged. */
  answerWith(call: string, status: number, body: string, times?: number): void
  close(): Promise<void>
}

class Problem extends Error {
  readonly status: number
  constructor(status: number, detail: string) {
    super(detail)
    this.status = status
  }
}

export async function startTapeRestServer(): Promise<TapeRestServer> {
  const forced: { readonly call: string; readonly status: number; readonly body: string; times: number }[] =
    []
  const http = await startHttpServer((request, response) => {
    handle(rest, request, forced)
      .catch((error: unknown) => {
        const status = error instanceof Problem ? error.status : 500
        const detail = error instanceof Error ? error.message : String(error)
        return {
          status,
          type: 'application/problem+json',
          body: JSON.stringify({ status, title: 'Refused', detail }),
          headers: {},
        }
      })
      .then(({ status, type, body, headers }) =>
        response.writeHead(status, { 'content-type': type, ...headers }).end(body),
      )
  })
  const rest: TapeRestServer = {
    origin: http.origin,
    localities: new Map(),
    requests: [],
    stageStates: new Map(),
    omitted: new Set(),
    pathInAnswers: (path) => path,
    token: null,
    answerWith: (call, status, body, times = 1) => void forced.push({ call, status, body, times }),
    close: () => http.close(),
  }
  return rest
}

interface Reply {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers: Record<string, string>
}

const reply = (status: number, value?: unknown, headers: Record<string, string> = {}): Reply => ({
  status,
  type: 'application/json',
  body: value === undefined ? '' : JSON.stringify(value),
  headers,
})

const WELL_KNOWN = '/.well-known/wlcg-tape-rest-api'

async function handle(
  rest: TapeRestServer,
  request: IncomingMessage,
  forced: readonly { readonly call: string; readonly status: number; readonly body: string; times: number }[],
): Promise<Reply> {
  const text = await textOf(request)
  const { method = '', url = '' } = request
  const parts = url.replace(/^\/api\/v1\//, '').split('/')
  const call = url === WELL_KNOWN ? WELL_KNOWN : `${method} /${parts[0]}`
  const answer = forced.find((entry) => entry.call === call && entry.times > 0)
  if (answer !== undefined) {
    answer.times -= 1
    return { status: answer.status, type: 'application/json', body: answer.body, headers: {} }
  }
  if (url === WELL_KNOWN) {
    const endpoints = [
      { uri: `${rest.origin}/api/v0`, version: 'v0', metadata: {} },
      { uri: `${rest.origin}/api/v1`, version: 'v1', metadata: {} },
    ]
    return reply(200, { sitename: 'TEST', description: 'a tape system', endpoints })
  }
  if (!url.startsWith('/api/v1/')) throw new Problem(404, 'no such call')
  if (rest.token !== null && request.headers.authorization !== `Bearer ${rest.token}`)
    throw new Problem(401, 'no valid token')
  if (method === 'POST' && parts[0] === 'archiveinfo') return archiveInfo(rest, bodyOf(request, text))
  if (method === 'POST' && parts[0] === 'stage' && parts.length === 1)
    return stage(rest, bodyOf(request, text))
  const found = rest.requests.find((entry) => entry.id === decodeURIComponent(parts[1] ?? ''))
  if (found === undefined) throw new Problem(404, 'no such request')
  if (method === 'GET' && parts[0] === 'stage') return progress(rest, found)
  const ending =
    method !== 'POST'
      ? null
      : parts[0] === 'release'
        ? 'releasedPaths'
        : parts[0] === 'stage' && parts[2] === 'cancel'
          ? 'cancelledPaths'
          : null
  if (ending !== null) {
    const paths = pathsOf(bodyOf(request, text))
    if (paths.some((path) => !found.paths.includes(path)))
      throw new Problem(400, 'a path is not in the request')
    for (const path of paths) found[ending].add(path)
    return reply(200)
  }
  throw new Problem(405, 'not allowed')
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function bodyOf(request: IncomingMessage, text: string): Record<string, unknown> {
  if (request.headers['content-type'] !== 'application/json') throw new Problem(415, 'not JSON')
  try {
    return JSON.parse(text)
  } catch {
    throw new Problem(400, 'not JSON')
  }
}

function pathsOf(body: Record<string, unknown>): string[] {
  const { paths, ...more } = body
  const valid =
    Array.isArray(paths) &&
    paths.length > 0 &&
    paths.every((path) => typeof path === 'string' && path.startsWith('/'))
  if (!valid || Object.keys(more).length > 0)
    throw new Problem(400, 'paths must be a list of absolute paths, and nothing else')
  return paths
}

function archiveInfo(rest: TapeRestServer, body: Record<string, unknown>): Reply {
  const known = pathsOf(body).filter((path) => !rest.omitted.has(path))
  const items = known.map((path) => {
    const locality = rest.localities.get(path)
    const answered = { path: rest.pathInAnswers(path) }
    return locality === undefined
      ? { ...answered, error: 'USER ERROR: file does not exist or is not accessible' }
      : { ...answered, locality }
  })
  return reply(200, items.toReversed()) // the order is not defined
}

function stage(rest: TapeRestServer, body: Record<string, unknown>): Reply {
  const files = body.files as { path?: unknown; diskLifetime?: unknown }[]
  if (!Array.isArray(files) || files.length === 0) throw new Problem(400, 'files is missing')
  for (const { path, diskLifetime, ...more } of files) {
    if (typeof path !== 'string' || !path.startsWith('/'))
      throw new Problem(400, 'a file without an absolute path')
    if (typeof diskLifetime !== 'string' || !/^P(\d+D|T\d+S)$/.test(diskLifetime))
      throw new Problem(400, 'diskLifetime is no ISO 8601 duration')
    if (Object.keys(more).some((name) => name !== 'targetedMetadata'))
      throw new Problem(400, 'an unknown property of a file')
  }
  const id = randomUUID()
  const paths = files.map(({ path }) => String(path))
  const [releasedPaths, cancelledPaths] = [new Set<string>(), new Set<string>()]
  rest.requests.push({
    id,
    paths,
    diskLifetime: files.map(({ diskLifetime }) => String(diskLifetime)),
    get released() {
      return paths.every((path) => releasedPaths.has(path))
    },
    get cancelled() {
      return paths.every((path) => cancelledPaths.has(path))
    },
    releasedPaths,
    cancelledPaths,
  })
  return reply(201, { requestId: id }, { location: `${rest.origin}/api/v1/stage/${id}` })
}

function progress(rest: TapeRestServer, request: StageRequest): Reply {
  const files = request.paths.map((path) => {
    const locality = rest.localities.get(path)
    const answered = { path: rest.pathInAnswers(path) }
    if (request.cancelledPaths.has(path)) return { ...answered, state: 'CANCELLED' }
    return {
      ...answered,
      ...(rest.stageStates.get(path) ?? { onDisk: locality === 'DISK' || locality === 'DISK_AND_TAPE' }),
    }
  })
  return reply(200, { id: request.id, createdAt: 1_700_000_000, startedAt: 1_700_000_001, files })
}
