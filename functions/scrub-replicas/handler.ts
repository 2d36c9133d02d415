/**
 * Schedule: copies are verified again, the one checked longest ago first; once a day every place is searched for
 * dark copies.
 */
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
    await eachPart(invocation, [
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
    ])
  }
}
