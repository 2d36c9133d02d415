/**
 * Schedule: copies in progress are followed to the medium, waiting ones are made, missing ones are requested,
 * recalls advance.
 */
import { countsOf, fetchRecalls, followRecalls } from '../../shared/copies/recall/schedule.ts'
import { sweepTemporaries } from '../../shared/copies/recall/sweep-temporaries.ts'
import { requestNew, sweepCopies } from '../../shared/copies/tape/sweep-copies.ts'
import { copyWaiting, followCopies, hasTape, type WithTape } from '../../shared/copies/tape/tape-copy.ts'
import { createEachPart, type Part } from '../../shared/runtime/each-part.ts'
import type { Invocation, ScheduleHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, publicS3, queues, s3, tape } from '../../shared/runtime/open-context.ts'

/** The whole catalogue is compared, and leftovers are listed, this often, not every minute. */
const SWEEP_EVERY_MS = 600_000

/** Recalls whose bytes pass through this process at a time: a few saturate the network. */
const FETCHED_AT_ONCE = 3

export const needs = [database, queues, s3, publicS3, tape]

export function createHandler(context: ContextOf<typeof needs>): ScheduleHandler {
  const eachPart = createEachPart()
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
    const recalls = [
      part('recalls-followed', () => followRecalls(context, signal, log)),
      part('recalls-fetched', async () =>
        countsOf(await fetchRecalls(context, FETCHED_AT_ONCE, signal, log)),
      ),
    ]
    const temporaries = part('temporaries-swept', async () => {
      const now = performance.now()
      if (now - temporariesSweptAt < SWEEP_EVERY_MS) return
      const deleted = await sweepTemporaries(context, signal)
      temporariesSweptAt = now
      return { deleted }
    })
    // A recall may stream bytes for many minutes, so copies are made at the same time, also by the next runs.
    await eachPart(invocation, [...recalls, temporaries], hasTape(context) ? copies(context, invocation) : [])
  }
}
