/**
 * Schedule: copies are verified again, the one checked longest ago first; once a day every place is searched for
 * dark copies.
 * Copies that are late or were never requested are alerted also here: the functions that make them may not run.
 */
import { alertLateCopies } from '../../shared/copies/tape/late-copies.ts'
import { hasTape } from '../../shared/copies/tape/tape-copy.ts'
import { alertUntapedRuns } from '../../shared/copies/tape/untaped-alert.ts'
import { duePlaces, searchPlace } from '../../shared/copies/verify/dark/daily.ts'
import { scrub } from '../../shared/copies/verify/scrub.ts'
import { createEachPart } from '../../shared/runtime/each-part.ts'
import type { ScheduleHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, queues, s3, tape } from '../../shared/runtime/open-context.ts'

interface Options {
  /** Between the two checks of a copy that seems to be missing, milliseconds. */
  readonly secondCheckMs?: number
}

export const needs = [database, queues, s3, tape]

export function createHandler(context: ContextOf<typeof needs>, options: Options = {}): ScheduleHandler {
  const eachPart = createEachPart()
  return async (_event, invocation) => {
    const { signal, log } = invocation
    const places = await duePlaces(context)
    const alerts = {
      done: 'late-copies-alerted',
      failed: 'late-copies-not-alerted',
      work: async () => {
        await alertUntapedRuns(context, signal)
        const late = hasTape(context) ? await alertLateCopies(context, signal) : 0
        return late > 0 ? { late } : undefined
      },
    }
    await eachPart(
      invocation,
      [alerts],
      [
        ...places.map((due, index) => ({
          done: 'place-searched',
          failed: 'place-not-searched',
          fields: { endpoint: due.endpoint },
          work: () => searchPlace(context, due, { ...options, wholeTime: index === 0 }, signal, log),
        })),
        {
          done: 'copies-scrubbed',
          failed: 'copies-not-scrubbed',
          work: () => scrub(context, options, signal, log),
        },
      ],
    )
  }
}
