/** Request timeout: a database or store that does not answer must not keep a client waiting for ever. */
import { Hono, type MiddlewareHandler } from 'hono'
import type { Logger } from '../../../shared/log.ts'
import type { HttpApp } from '../../../shared/runtime/handler.ts'
import { problem } from './problem.ts'

export interface AnswerInTimeOptions {
  readonly answerMs: number
  readonly log: Logger
  /** Health checks have a time limit of their own. */
  readonly exempt: ReadonlySet<string>
  /** Adds the headers that every answer has. */
  readonly headers: MiddlewareHandler
}

/**
 * The app, with 503 where it does not answer within `answerMs`. An answer that has begun (a list, events) is
 * not cut off. Work that was begun goes on, as after a lost connection; its answer is discarded. Not hono's
 * own timeout: with that the late work writes to the response that was sent in its place.
 */
export function answerInTime(app: HttpApp, { answerMs, log, exempt, headers }: AnswerInTimeOptions): HttpApp {
  const late = new Hono()
    .use(headers)
    .all('*', () => problem(503, 'the service did not answer in time; try again', { 'retry-after': '5' }))
  return {
    async fetch(request, host) {
      const { pathname: path } = new URL(request.url)
      if (exempt.has(path)) return await app.fetch(request, host)
      const { promise: timedOut, resolve } = Promise.withResolvers<null>()
      const timer = setTimeout(() => resolve(null), answerMs)
      const answered = Promise.resolve(app.fetch(request, host))
      const answer = await Promise.race([answered, timedOut]).finally(() => clearTimeout(timer))
      if (answer !== null) return answer
      // Nobody reads it: a stream would wait for its reader for ever.
      answered.then(({ body }) => body?.cancel()).catch(() => {})
      log.error(
        { method: request.method, path: path.slice(0, 200), ms: answerMs },
        'request-not-answered-in-time',
      )
      return await late.fetch(request)
    },
  }
}
