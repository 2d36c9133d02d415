/** Request timeout: a database or store that does not answer must not keep a client waiting for ever. */
import { Hono, type MiddlewareHandler } from 'hono'
import type { Logger } from '../../../shared/log.ts'
import type { HttpApp } from '../../../shared/runtime/handler.ts'
import { problem, refusal } from './problem.ts'

const LATE = 'the service did not answer in time; try again'

export interface RequestTimeoutOptions {
  readonly answerMs: number
  readonly log: Logger
  /** Paths with their own time limit, such as health checks. */
  readonly exempt: ReadonlySet<string>
  /** Adds the headers that every answer has. */
  readonly headers: MiddlewareHandler
}

/**
 * The app, with a 503 if it does not answer within `answerMs`. An answer that has begun (a list, events) is
 * not interrupted. A list that is being read ends at its next statement; other work continues, as after a lost
 * connection, and its answer is discarded. hono's own timeout is not used: with it, the late work would write to
 * the response already sent.
 */
export function withRequestTimeout(
  app: HttpApp,
  { answerMs, log, exempt, headers }: RequestTimeoutOptions,
): HttpApp {
  const late = new Hono().use(headers).all('*', () => problem(503, LATE, { 'retry-after': '5' }))
  return {
    async fetch(request, host) {
      const { pathname: path } = new URL(request.url)
      if (exempt.has(path)) return await app.fetch(request, host)
      const { promise: timedOut, resolve } = Promise.withResolvers<null>()
      const timer = setTimeout(() => resolve(null), answerMs)
      const end = new AbortController()
      const answered = Promise.resolve(app.fetch(request, { ...host, timedOut: end.signal }))
      const answer = await Promise.race([answered, timedOut]).finally(() => clearTimeout(timer))
      if (answer !== null) return answer
      // A body that is not read would stay open: a stream waits for its reader.
      answered.then(({ body }) => body?.cancel()).catch(() => {})
      end.abort(refusal(503, LATE))
      log.error({ method: request.method, path: path.slice(0, 200), ms: answerMs }, 'request-timed-out')
      return await late.fetch(request)
    },
  }
}
