/** Answers with an ETag: a client that already has the same bytes receives 304 instead. */
import type { Context } from 'hono'
import { etag } from 'hono/etag'

/**
 * Weak tags, since a proxy may have compressed the answer. Called by handlers instead of being added to a
 * path: it reads the whole answer, and a list of runs may be a stream.
 */
const addTag = etag({ weak: true })

/** The text with its tag, or 304. `headers` state its type and who may cache it. */
export async function tagged(
  c: Context,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  // Also without compression: a 304 needs the Vary header of the full answer (RFC 9110, section 15.4.5).
  const vary = [headers.vary, 'accept-encoding'].filter(Boolean).join(', ')
  await addTag(c, async () => {
    c.res = new Response(body, { headers: { ...headers, vary } })
  })
  return c.res
}

/**
 * The value as JSON with its tag, or 304. Only the caller may cache it, since others may see less, and must
 * revalidate it each time.
 */
export const taggedJson = (
  c: Context,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> =>
  tagged(c, JSON.stringify(value), {
    ...headers,
    'content-type': 'application/json',
    'cache-control': 'private, no-cache',
  })
