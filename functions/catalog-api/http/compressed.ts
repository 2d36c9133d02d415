/**
 * What is read by people, and in bulk, compressed for clients that take it: behind API Gateway and OpenFaaS
 * nobody else does. Events are not: a compressor holds back what is told. Tokens of forms are masked against
 * what the length of a compressed page tells (access/csrf.ts).
 */
import type { MiddlewareHandler } from 'hono'
import { compress } from 'hono/compress'

export const compressed: MiddlewareHandler = compress({
  contentTypeFilter: /^(?:text\/(?:html|css|javascript|csv)|application\/(?:json|x-ndjson))\b/,
})
