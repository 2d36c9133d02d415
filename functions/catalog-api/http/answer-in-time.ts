/**
 * No request waits for ever: when a database or store says nothing, its sender is told so while it still
 * listens.
 */
import type { Context, MiddlewareHandler } from 'hono'
import type { Logger } from '../../../shared/log.ts'
import { refusal } from './problem.ts'

export interface AnswerInTimeOptions {
  readonly answerMs: number
  readonly log: Logger
  /** Health checks have a time limit of their own. */
  readonly exempt: ReadonlySet<string>
}

const LATE = Symbol('late')
const RETRY_AFTER = { 'retry-after': '5' } as const

/**
 * Answers 503 when nothing was answered in time. An answer that has begun (a list, events) is not cut off;
 * work that was begun is not either: it may still be done, as after a connection that was lost. Comes before
 * everything that waits.
 */
export function answerInTime({ answerMs, log, exempt }: AnswerInTimeOptions): MiddlewareHandler {
  return async (c, next) => {
    if (exempt.has(c.req.path)) return await next()
    const { promise: late, resolve } = Promise.withResolvers<typeof LATE>()
    const timer = setTimeout(() => resolve(LATE), answerMs)
    const answered = next()
    try {
      if ((await Promise.race([answered, late])) !== LATE) return
    } finally {
      clearTimeout(timer)
    }
    leaveBehind(c, answered)
    log.error(
      { method: c.req.method, path: c.req.path.slice(0, 200), ms: answerMs },
      'request-not-answered-in-time',
    )
    throw refusal(503, 'the service did not answer in time; try again', RETRY_AFTER)
  }
}

/** What is said too late is said on another sheet: the answer is on its way, and its body is read already. */
function leaveBehind(c: Context, answered: Promise<void>): void {
  answered.catch(() => {})
  setImmediate(() => {
    // Taken away first, or hono carries the headers of the one over to the other.
    c.res = undefined
    c.res = new Response(null, { status: 503 })
  })
}
