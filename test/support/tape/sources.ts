/**
 * Sources of copies for tests: in memory, and over HTTP for endpoints that fetch the bytes themselves. Both
 * can break and hang.
 */
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { TransientError } from '../../../shared/errors.ts'
import type { CopySource } from '../../../shared/tape/driver.ts'
import { startHttpServer } from '../http-server.ts'
import { BEYOND_THE_TEST_SECONDS } from '../waiting.ts'

export interface SourceFault {
  /** The connection is lost after this many bytes. */
  readonly breaksAfter?: number
  /** After this many bytes nothing more comes until the reader gives up. */
  readonly hangsAfter?: number
  /** Called when the source begins to hang. */
  readonly onHang?: () => void
}

export interface TestSource extends CopySource {
  /** Bytes that were read through `open`. */
  readonly bytesRead: number
  /** The number of reads, through `open` and by link. */
  readonly opened: number
}

const CHUNK_BYTES = 64 * 1024

/** `object` is made from the name of the copy; the part before its first slash is the bucket. */
export function memorySource(
  name: string,
  bytes: Uint8Array,
  fault: SourceFault = {},
  presign: CopySource['presign'] = async () => {
    throw new TransientError('this source gives no links')
  },
): TestSource & { opened: number } {
  const slash = name.indexOf('/')
  let bytesRead = 0
  return {
    object: { bucket: name.slice(0, slash), key: name.slice(slash + 1) },
    opened: 0,
    get bytesRead() {
      return bytesRead
    },
    open(signal) {
      this.opened += 1
      return faulty(bytes, fault, signal, (count) => {
        bytesRead += count
      })
    },
    presign,
  }
}

async function* faulty(
  bytes: Uint8Array,
  fault: SourceFault,
  signal: AbortSignal,
  onBytes: (count: number) => void,
) {
  const end = Math.min(bytes.length, fault.breaksAfter ?? Infinity, fault.hangsAfter ?? Infinity)
  for (let at = 0; at < end; at += CHUNK_BYTES) {
    signal.throwIfAborted()
    const chunk = bytes.subarray(at, Math.min(end, at + CHUNK_BYTES))
    onBytes(chunk.length)
    yield chunk
  }
  if (fault.hangsAfter !== undefined) {
    fault.onHang?.()
    await sleep(BEYOND_THE_TEST_SECONDS * 1000, undefined, { signal, ref: false })
  }
  if (fault.breaksAfter !== undefined) throw new TransientError('the store closed the connection')
}

export interface SourceServer {
  /** A source whose `presign` returns a link to this server; a request to the link has the same fault. */
  source(name: string, bytes: Uint8Array, fault?: SourceFault): TestSource
  close(): Promise<void>
}

/** A store of links on 127.0.0.1: GET and HEAD of whole objects. */
export async function startSourceServer(): Promise<SourceServer> {
  const served: {
    readonly bytes: Uint8Array
    readonly fault: SourceFault
    readonly source: { opened: number }
  }[] = []
  const http = await startHttpServer(async (request, response) => {
    const entry = served[Number(new URL(request.url ?? '/', 'http://store').searchParams.get('object') ?? -1)]
    if (entry === undefined || (request.method !== 'GET' && request.method !== 'HEAD'))
      return void response.writeHead(404).end()
    response.writeHead(200, { 'content-length': entry.bytes.length, etag: '"served"' })
    if (request.method === 'HEAD') return void response.end()
    entry.source.opened += 1
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    // A fault ends the connection, as when a store dies.
    await pipeline(
      faulty(entry.bytes, entry.fault, gone.signal, () => {}),
      response,
    ).catch(() => {})
  })
  return {
    source(name, bytes, fault = {}) {
      const link = `${http.origin}/${name.split('/').map(encodeURIComponent).join('/')}?object=${served.length}&X-Amz-Signature=secret`
      const source = memorySource(name, bytes, fault, async () => link)
      served.push({ bytes, fault, source })
      return source
    },
    close: () => http.close(),
  }
}
