/**
 * Schedule: copies under way are followed to the medium, those that wait are made, none is forgotten, recalls
 * go on.
 */

import type { TapeContext } from '../../shared/context.ts'
import { advanceRecalls } from '../../shared/copies/recall/schedule.ts'
import { copyWaiting, hasTape } from '../../shared/copies/tape/copy-to-tape.ts'
import { followCopies } from '../../shared/copies/tape/follow-copies.ts'
import { sweepCopies } from '../../shared/copies/tape/sweep-copies.ts'
import type { ScheduleHandler } from '../../shared/runtime/handler.ts'

/** The whole catalogue is compared this often, not every minute. */
const SWEEP_EVERY_MS = 600_000

export function createHandler(context: TapeContext): ScheduleHandler {
  let sweptAt = Number.NEGATIVE_INFINITY
  return async (_event, { signal, log }) => {
    const failures: unknown[] = []
    // What goes wrong with one part must not keep the others from being done.
    const part = async (event: string, work: () => Promise<object>) => {
      try {
        log.info(await work(), event)
      } catch (error) {
        failures.push(error)
        log.error({ error }, `not-${event}`)
      }
    }
    const tapeParts = async () => {
      if (!hasTape(context)) {
        log.warn('no-tape-driver')
        return
      }
      const now = context.now().getTime()
      if (now - sweptAt >= SWEEP_EVERY_MS)
        await part('copies-swept', async () => {
          const swept = await sweepCopies(context, signal)
          sweptAt = now
          return swept
        })
      await part('copies-followed', () => followCopies(context, signal, log))
      await part('copies-made', () => copyWaiting(context, context.config.tape.copiesAtOnce, signal, log))
    }
    // The bytes of a recall may pass for many minutes: copies are made meanwhile.
    await Promise.all([part('recalls-advanced', () => advanceRecalls(context, signal, log)), tapeParts()])
    if (failures.length > 0) throw failures[0]
  }
}
