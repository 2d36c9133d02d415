/** Error answers as RFC 9457 problems. */
import type { ErrorHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { classify, InvalidInputError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/log.ts'

const TITLES = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
} as const
type Status = keyof typeof TITLES

const RETRY_AFTER_SECONDS = '5'

/** An answer for people and programs; `detail` is a sentence without secrets. */
export function problem(
  status: Status,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const body = { type: 'about:blank', title: TITLES[status], status, detail }
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  })
}

/** An exception that ends the request with this problem. */
export const refusal = (
  status: Status,
  detail: string,
  headers?: Readonly<Record<string, string>>,
): HTTPException => new HTTPException(status, { message: detail, res: problem(status, detail, headers) })

/**
 * Problems that were thrown deliberately are returned. For other errors, the caller learns only whether to
 * retry; the log has the details.
 */
export function problemHandler(log: Logger): ErrorHandler {
  return (error, c) => {
    if (error instanceof HTTPException) {
      if (error.res !== undefined) return error.getResponse()
      const detail =
        error.status === 415 ? 'the body must be JSON with Content-Type: application/json' : error.message
      return problem(error.status in TITLES ? (error.status as Status) : 400, detail)
    }
    const failure = classify(error)
    log.error({ error: failure, method: c.req.method, route: c.req.routePath }, 'request-failed')
    if (failure instanceof InvalidInputError)
      return problem(500, 'the request failed; the reason is in the log of the service')
    return problem(503, 'the service cannot answer now; try again', { 'retry-after': RETRY_AFTER_SECONDS })
  }
}
