/** The third-party copies of the small WebDAV endpoint. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export type Answering = (status: number, text?: string, headers?: Record<string, string>) => Promise<void>

/** The progress markers of a third-party copy. */
export interface MarkerStyle {
  readonly lineEnd: '\n' | '\r\n'
  /** The markers are written in pieces of this size. */
  readonly pieceBytes: number
  /** Null: the connection closes without a last line. */
  readonly lastLine: string | null
  /** The bytes that are stored of those received. */
  readonly stores: (bytes: Buffer) => Buffer
  readonly status: number
}

export const PLAIN_MARKERS: MarkerStyle = {
  lineEnd: '\n',
  pieceBytes: 100_000,
  lastLine: 'success: Created',
  stores: (bytes) => bytes,
  status: 202,
}

interface Copying {
  readonly files: Map<string, Buffer>
  readonly markers: MarkerStyle
  /** Whether the folder for a pulled file exists. */
  readonly hasParent: boolean
}

/** Third-party copy as StoRM WebDAV does it: checks first, then 202 and a stream of markers. */
export async function thirdPartyCopy(
  endpoint: Copying,
  request: IncomingMessage,
  response: ServerResponse,
  name: string,
  answer: Answering,
): Promise<void> {
  const { source, destination, credential, overwrite } = request.headers as Record<string, string | undefined>
  if ((source === undefined) === (destination === undefined))
    return answer(400, 'one of Source and Destination')
  if (credential !== undefined && credential !== 'none') return answer(400, 'no such credential')
  if (overwrite !== undefined && !/^[TF]$/.test(overwrite)) return answer(400, 'bad Overwrite')
  if (!/^(true|false)$/.test(String(request.headers.requirechecksumverification ?? 'true')))
    return answer(400, 'bad RequireChecksumVerification')
  const remote = URL.parse(String(source ?? destination))
  if (remote === null || !/^https?:$/.test(remote.protocol)) return answer(400, 'not an address')
  // A store states no checksum to verify with, so a request that requires one is refused, as by dCache.
  if (source !== undefined && request.headers.requirechecksumverification !== 'false')
    return answer(412, 'no checksum of the source')
  if (source !== undefined && overwrite === 'F' && endpoint.files.has(name))
    return answer(412, 'Precondition Failed')
  if (source !== undefined && !endpoint.hasParent) return answer(409, 'Conflict')
  const file = endpoint.files.get(name)
  if (destination !== undefined && file === undefined) return answer(404, 'Not found')
  response.writeHead(endpoint.markers.status, { 'content-type': 'text/plain' })
  if (destination !== undefined) {
    const pushed = await fetch(remote, { method: 'PUT', body: new Uint8Array(file as Buffer) })
    return await writeMarker(
      endpoint.markers,
      response,
      file?.length ?? 0,
      pushed.ok ? endpoint.markers.lastLine : `failure: ${pushed.status}`,
    )
  }
  const bytes: Buffer[] = []
  let length = 0
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  try {
    const pulled = await fetch(remote, { signal: gone.signal })
    if (!pulled.ok || pulled.body === null)
      return await writeMarker(endpoint.markers, response, 0, `failure: the source answered ${pulled.status}`)
    for await (const chunk of pulled.body) {
      bytes.push(Buffer.from(chunk))
      length += chunk.length
    }
    endpoint.files.set(name, endpoint.markers.stores(Buffer.concat(bytes)))
    await writeMarker(endpoint.markers, response, length, endpoint.markers.lastLine)
  } catch {
    endpoint.files.set(name, Buffer.concat(bytes)) // the received bytes are kept, as on a disk
    await writeMarker(endpoint.markers, response, length, 'failure: the source broke off')
  }
}

/** Writes one marker and the last line, or only closes the connection if there is none. */
export async function writeMarker(
  style: MarkerStyle,
  response: ServerResponse,
  bytes: number,
  lastLine: string | null,
): Promise<void> {
  const lines = [
    'Perf Marker',
    'Timestamp: 1700000000',
    'Stripe Index: 0',
    `Stripe Bytes Transferred: ${bytes}`,
    'Total Stripe Count: 1',
    'End',
  ]
  const text = Buffer.from(
    [...lines, ...(lastLine === null ? [] : [lastLine])].join(style.lineEnd) +
      (lastLine === null ? style.lineEnd : ''),
  )
  for (let at = 0; at < text.length; at += style.pieceBytes) {
    response.write(text.subarray(at, at + style.pieceBytes))
    if (style.pieceBytes < 10) await sleep(0)
  }
  if (lastLine === null) response.socket?.end()
  else response.end()
}
