/** A store that answers presigned links and can fail as stores and networks do. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { LinkRequest, LinkSource, OfferedFile } from '../../../../cli/get/link-source.ts'
import { createChecksums } from '../../../../shared/extraction/checksums.ts'
import type { RunId } from '../../../../shared/run.ts'

export interface RecordedRequest {
  readonly range: string | null
  readonly ifRange: string | null
  readonly token: string
  /** Bytes that were sent. */
  sentBytes: number
}

export interface RangeStore {
  readonly url: string
  content: Buffer
  /** Links with this token are accepted; others are refused. */
  token: string
  readonly requests: RecordedRequest[]
  /** Called before each answer; true when it has answered itself. */
  misbehave: (
    request: IncomingMessage,
    response: ServerResponse,
    asked: RecordedRequest,
  ) => boolean | Promise<boolean>
  /** Answers with ranges of the present object although If-Range names another version. */
  ignoresIfRange: boolean
  close(): Promise<void>
}

export async function startRangeStore(content: Buffer): Promise<RangeStore> {
  const server = createServer(async (request, response) => {
    const token = new URL(request.url ?? '/', 'http://store').searchParams.get('token') ?? ''
    const asked: RecordedRequest = {
      range: request.headers.range ?? null,
      ifRange: (request.headers['if-range'] as string) ?? null,
      token,
      sentBytes: 0,
    }
    store.requests.push(asked)
    if (await store.misbehave(request, response, asked)) return
    if (token !== store.token)
      return void response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>')
    answer(store, request, response, asked)
  })
  // Connections stay open until the client ends them, so that none is closed at the moment in which it is
  // reused.
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const store: RangeStore = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/run`,
    content,
    token: 'first',
    requests: [],
    misbehave: () => false,
    ignoresIfRange: false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return store
}

const etagOf = (content: Buffer) => `"${createHash('md5').update(content).digest('hex')}"`

function answer(
  { content, ignoresIfRange }: RangeStore,
  request: IncomingMessage,
  response: ServerResponse,
  asked: RecordedRequest,
): void {
  const etag = etagOf(content)
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
  const holds = asked.ifRange === null || asked.ifRange === etag || ignoresIfRange
  if (start === undefined || end === undefined || !holds) {
    response.writeHead(200, { etag, 'content-length': content.length }).end(content)
    asked.sentBytes = content.length
    return
  }
  const bytes = content.subarray(Number(start), Number(end) + 1)
  asked.sentBytes = bytes.length
  response
    .writeHead(206, {
      etag,
      'content-length': bytes.length,
      'content-range': `bytes ${start}-${Number(start) + bytes.length - 1}/${content.length}`,
    })
    .end(bytes)
}

export async function offered(
  store: RangeStore,
  fileName: string,
  expiresAt = new Date(Date.now() + 3_600_000),
) {
  const checksums = createChecksums()
  checksums.update(store.content)
  const { md5, adler32 } = await checksums.digest()
  return {
    kind: 'link' as const,
    url: `${store.url}?token=${store.token}`,
    expiresAt,
    fileName,
    sizeBytes: store.content.length,
    md5,
    adler32,
    warning: null,
  }
}

/** Returns for every run the result of `files`, and counts the calls. */
export function fakeSource(
  files: (run: RunId, request?: LinkRequest) => Promise<readonly OfferedFile[]>,
): LinkSource & { readonly asked: () => number } {
  let asked = 0
  const linksOf: LinkSource['linksOf'] = async (run, _signal, request) => {
    asked++
    return await files(run, request)
  }
  return {
    runsIn: async () => [],
    linksOf,
    linksOfFirst: async ([first], signal) => [{ ...first, files: await linksOf(first, signal) }],
    asked: () => asked,
  }
}
