/** The refusals of a route, for the OpenAPI document. */
import { z } from '@hono/zod-openapi'

const problemSchema = z
  .object({
    type: z.string().openapi({ example: 'about:blank' }),
    title: z.string().openapi({ example: 'Not Found' }),
    status: z.int().openapi({ example: 404 }),
    detail: z
      .string()
      .openapi({ description: 'For people', example: 'run 12345 of LNGS is not in the catalogue' }),
  })
  .openapi('Problem', { description: 'An error, by RFC 9457' })

const DESCRIPTIONS = {
  400: 'The request is malformed; `detail` states where',
  401: 'The caller is anonymous, and this needs a right',
  403: 'The caller does not have the needed right',
  404: 'It is not in the catalogue',
  409: 'Not possible in the current state',
  413: 'The request has too many bytes',
  415: 'The body is not JSON',
  422: 'The search takes too long; it must be narrowed',
  429: 'More requests a minute than allowed; `retry-after` states when to retry',
  503: 'The catalogue or the store does not answer; try again',
} as const
type Status = keyof typeof DESCRIPTIONS

const answer = <S extends Status>(status: S) => ({
  description: DESCRIPTIONS[status],
  content: { 'application/problem+json': { schema: problemSchema } },
})

/** The refusals that every route may give, and the given ones. */
export function problems<S extends Status>(...more: readonly S[]) {
  const statuses: readonly Status[] = [400, 401, 403, 429, 503, ...more]
  const responses = Object.fromEntries(statuses.map((status) => [status, answer(status)]))
  return responses as Record<S | 400 | 401 | 403 | 429 | 503, ReturnType<typeof answer>>
}

/** Ways to authenticate: an API token, a token of the IAM, or the cookie of a signed-in browser. */
export const SECURITY: Record<string, string[]>[] = [{ token: [] }]
