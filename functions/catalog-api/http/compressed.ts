/**
 * Compresses pages and bulk answers for clients that accept it: behind API Gateway and OpenFaaS no other part
 * does. Events are excluded, since a compressor delays them. Form tokens are masked against attacks on the
 * length of compressed pages (access/csrf.ts).
 */
import type { MiddlewareHandler } from 'hono'
import { compress } from 'hono/compress'

export const compressed: MiddlewareHandler = compress({
  contentTypeFilter: /^(?:text\/(?:html|css|javascript|csv)|application\/(?:json|x-ndjson))\b/,
})
