/**
 * Answers that a client may keep and ask about again: the same bytes have the same tag, and are not sent
 * twice.
 */
import { createHash } from 'node:crypto'
import type { Context } from 'hono'

/** A weak tag: a proxy may have compressed what it belongs to. */
const tagOf = (body: string) => `W/"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`

/** True when `If-None-Match` names the tag, compared weakly as RFC 9110 wants it. */
function isKnown(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false
  const opaque = (text: string) => text.trim().replace(/^W\//, '')
  return ifNoneMatch.trim() === '*' || ifNoneMatch.split(',').some((each) => opaque(each) === opaque(tag))
}

/**
 * A text with a tag, or 304 to who has it already. Among the headers: of which type it is, and who may keep
 * it.
 */
export function tagged(
  c: Context,
  body: string,
  { 'content-type': type = '', ...headers }: Readonly<Record<string, string>>,
): Response {
  const etag = tagOf(body)
  // Also where nothing is compressed: 304 varies by what the whole answer would (RFC 9110, section 15.4.5).
  const vary = [headers.vary, 'accept-encoding'].filter(Boolean).join(', ')
  const all = { ...headers, vary, etag }
  if (isKnown(c.req.header('if-none-match'), etag)) return new Response(null, { status: 304, headers: all })
  return new Response(body, { headers: { ...all, 'content-type': type } })
}

/**
 * The value as JSON with a tag, or 304 to who has it already. It is to be kept by who asked alone, since
 * others may see less, and to be asked about each time.
 */
export const taggedJson = (
  c: Context,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response =>
  tagged(c, JSON.stringify(value), {
    ...headers,
    'content-type': 'application/json',
    'cache-control': 'private, no-cache',
  })
