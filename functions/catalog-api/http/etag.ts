/** Answers with an ETag: the same bytes have the same tag, and a client that has them gets 304 instead. */
import type { Context } from 'hono'
import { etag } from 'hono/etag'

/**
 * Weak tags: a proxy may have compressed what they belong to. Called by the handlers, not added to a path: it
 * reads the whole answer, and a list of runs may be a stream.
 */
const addTag = etag({ weak: true })

/** The text with its tag, or 304. `headers` name its type, and who may cache it. */
export async function tagged(
  c: Context,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  // Also where nothing is compressed: 304 varies by what the whole answer would (RFC 9110, section 15.4.5).
  const vary = [headers.vary, 'accept-encoding'].filter(Boolean).join(', ')
  await addTag(c, async () => {
    c.res = new Response(body, { headers: { ...headers, vary } })
  })
  return c.res
}

/**
 * The value as JSON with its tag, or 304. To be cached by the caller alone, since others may see less, and
 * revalidated each time.
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
