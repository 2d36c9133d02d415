/**
 * Schedule: copies in progress are followed to the medium, waiting ones are made, missing ones are requested,
 * recalls advance.
 */
import { advanceRecalls } from '../../shared/copies/recall/schedule.ts'
import { sweepTemporaries } from '../../shared/copies/recall/sweep-temporaries.ts'
import { requestNew, sweepCopies } from '../../shared/copies/tape/sweep-copies.ts'
import { copyWaiting, followCopies, hasTape, type WithTape } from '../../shared/copies/tape/tape-copy.ts'
import { eachPart, type Part } from '../../shared/runtime/each-part.ts'
import type { Invocation, ScheduleHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, publicS3, queues, s3, tape } from '../../shared/runtime/open-context.ts'

/** The whole catalogue is compared, and leftovers are listed, this often, not every minute. */
const SWEEP_EVERY_MS = 600_000

export const needs = [database, queues, s3, publicS3, tape]

export function createHandler(context: ContextOf<typeof needs>): ScheduleHandler {
  let sweptAt = Number.NEGATIVE_INFINITY
  let temporariesSweptAt = Number.NEGATIVE_INFINITY
  let seen = 0
  const part = (done: string, work: Part['work']): Part => ({ done, failed: `not-${done}`, work })
  const copies = (tapeContext: WithTape, { signal, log }: Invocation) => [
    part('copies-swept', async () => {
      const now = performance.now()
      if (now - sweptAt < SWEEP_EVERY_MS) return
      const swept = await sweepCopies(tapeContext, signal)
      sweptAt = now
      return swept
    }),
    part('copies-requested', async () => {
      const { requested, ...rest } = await requestNew(tapeContext, seen, signal)
      seen = rest.seen
      return { requested }
    }),
    part('copies-followed', () => followCopies(tapeContext, signal, log)),
    part('copies-made', () => copyWaiting(tapeContext, context.config.tape.copiesAtOnce, signal, log)),
  ]
  return async (_event, invocation) => {
    const { signal, log } = invocation
    if (!hasTape(context)) log.warn('no-tape-driver')
    const recalls = part('recalls-advanced', () => advanceRecalls(context, signal, log))
    // A recall may stream bytes for many minutes, so copies are made at the same time.
    const temporaries = part('temporaries-swept', async () => {
      const now = performance.now()
      if (now - temporariesSweptAt < SWEEP_EVERY_MS) return
      const deleted = await sweepTemporaries(context, signal)
      temporariesSweptAt = now
      return { deleted }
    })
    await eachPart(invocation, [recalls, temporaries], hasTape(context) ? copies(context, invocation) : [])
  }
}
