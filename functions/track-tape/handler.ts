/** Schedule: copies under way are followed to the medium, those that wait are made, none is forgotten, recalls go on. */
import { copyNext, hasTape, type WithTape } from '../../shared/replicas/copy-to-tape.ts'
import { followCopies } from '../../shared/replicas/follow-copies.ts'
import { advanceRecalls } from '../../shared/replicas/recall/schedule.ts'
import { sweepCopies } from '../../shared/replicas/sweep-copies.ts'
import type { TapeContext } from '../../shared/runtime/context.ts'
import type { Invocation, ScheduleHandler } from '../../shared/runtime/handler.ts'

/** After so long no further copy is begun: the schedule comes back, and what is under way at services is looked at first. */
const BEGIN_WITHIN_MS = 45_000
/** The whole catalogue is compared this often, not every minute. */
const SWEEP_EVERY_MS = 600_000

export function createHandler(context: TapeContext): ScheduleHandler {
  let sweptAt = Number.NEGATIVE_INFINITY
  return async (_event, invocation) => {
    const { signal, log } = invocation
    log.info(await advanceRecalls(context, signal, log), 'recalls-advanced')
    if (!hasTape(context)) {
      log.warn('no-tape-driver')
      return
    }
    const now = context.now().getTime()
    if (now - sweptAt >= SWEEP_EVERY_MS) {
      log.info(await sweepCopies(context, signal), 'copies-swept')
      sweptAt = now
    }
    log.info(await followCopies(context, signal, log), 'copies-followed')
    const made = await copyWaiting(context, invocation)
    if (made > 0) log.info({ made }, 'copies-made')
  }
}

async function copyWaiting(context: WithTape, { signal, log }: Invocation): Promise<number> {
  const began = performance.now()
  let made = 0
  const copy = async () => {
    while (!signal.aborted && performance.now() - began < BEGIN_WITHIN_MS) {
      if ((await copyNext(context, signal, log)) === null) return
      made++
    }
  }
  await Promise.all(Array.from({ length: context.config.CYGNET_TAPE_COPIES_AT_ONCE }, copy))
  return made
}
