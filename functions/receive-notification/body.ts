/** The body of a notification: bounded in size, plain or gzip, as text. */
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'

const inflate = promisify(gunzip)

export type Body =
  | { readonly kind: 'text'; readonly text: string }
  /** Not text: `parkable` is its base64. */
  | { readonly kind: 'unreadable'; readonly parkable: string; readonly reason: string }
  | { readonly kind: 'too-large' }

/**
 * gzip's magic number. Checked instead of the header: some proxies unpack the body and leave the header, or the
 * reverse.
 */
const isGzip = (bytes: Buffer) => bytes[0] === 0x1f && bytes[1] === 0x8b

/**
 * Reads a request's body to the end, at most `limitBytes`; the same limit holds for the unpacked bytes, so that
 * a few kilobytes cannot fill the memory.
 * @throws what the connection throws when the sender goes away.
 */
export async function readBody(request: Request, limitBytes: number): Promise<Body> {
  const stated = Number(request.headers.get('content-length') ?? 0)
  if (stated > limitBytes) return { kind: 'too-large' }
  const bytes = await collect(request, limitBytes)
  if (bytes === null) return { kind: 'too-large' }
  if (!isGzip(bytes)) return asText(bytes)
  try {
    return asText(await inflate(bytes, { maxOutputLength: limitBytes }))
  } catch (error) {
    if (error instanceof RangeError) return { kind: 'too-large' }
    return {
      kind: 'unreadable',
      parkable: bytes.toString('base64'),
      reason: 'the body is damaged gzip (kept as base64)',
    }
  }
}

async function collect(request: Request, limitBytes: number): Promise<Buffer | null> {
  const chunks: Uint8Array[] = []
  let size = 0
  // Leaving the loop early cancels the rest of the body.
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength
    if (size > limitBytes) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function asText(bytes: Buffer): Body {
  try {
    return { kind: 'text', text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch {
    return {
      kind: 'unreadable',
      parkable: bytes.toString('base64'),
      reason: 'the body is not UTF-8 text (kept as base64)',
    }
  }
}
