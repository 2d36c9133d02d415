/**
 * Schedule: copies are verified again, the one looked at longest ago first; once a day every place is gone
 * through for what nobody knows.
 */

import type { TapeContext } from '../../shared/context.ts'
import { type DarkPlace, darkEndpoint, findDark } from '../../shared/copies/verify/dark/dark.ts'
import { lastDarkPass, noteDarkPass } from '../../shared/copies/verify/dark/rows.ts'
import { scrub } from '../../shared/copies/verify/scrub.ts'
import type { Invocation, ScheduleHandler } from '../../shared/runtime/handler.ts'

/** A little less than a day, so that the hour of the passes stays what it is. */
const DARK_PASS_MS = 23.5 * 3_600_000

interface Options {
  /** Between two looks at what seems to be missing. */
  readonly secondLookMs?: number
}

export function createHandler(context: TapeContext, options: Options = {}): ScheduleHandler {
  return async (_event, invocation) => {
    const failures = await goThroughPlaces(context, options, invocation)
    const started = performance.now()
    const progress = await scrub(context, options, invocation.signal, invocation.log)
    invocation.log.info({ ...progress, ms: Math.round(performance.now() - started) }, 'copies-scrubbed')
    if (failures.length > 0) throw failures[0]
  }
}

/**
 * One place that cannot be listed keeps neither the others nor the scrub from their turn. Returns what went
 * wrong.
 */
async function goThroughPlaces(
  context: TapeContext,
  options: Options,
  { signal, log }: Invocation,
): Promise<readonly unknown[]> {
  const { database } = context
  const places: readonly DarkPlace[] = [
    ...context.config.store.rawBuckets.map((bucket) => ({ bucket })),
    { tape: true },
  ]
  const failures: unknown[] = []
  let first = true
  for (const place of places) {
    const endpoint = darkEndpoint(context, place)
    if (endpoint === null || signal.aborted) continue
    const begunAt = context.now()
    const last = await lastDarkPass(database, endpoint)
    if (last !== null && last.getTime() > begunAt.getTime() - DARK_PASS_MS) continue
    try {
      await findDark(context, place, options, signal, log)
    } catch (error) {
      log.error({ endpoint, error }, 'place-not-gone-through')
      if (!signal.aborted) failures.push(error)
      // It had the whole time of this run: until tomorrow the time is the scrub's.
      else if (first)
        await noteDarkPass(database, endpoint, { begunAt, at: context.now(), listed: 0, finished: false })
    }
    first = false
  }
  return failures
}
