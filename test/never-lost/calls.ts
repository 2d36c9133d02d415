/**
 * Calls functions in a story, each time with a context of its own, as in a separate process.
 */
import type { WithTape } from '../../shared/copies/tape/tape-copy.ts'
import { type Accident, beginCall } from './call.ts'
import { databaseOf } from './database.ts'
import type { FunctionInput, World } from './world.ts'

export interface Circumstances {
  readonly accident: Accident | null
  /** See call.ts. */
  readonly pace: readonly number[]
}

export const UNDISTURBED: Circumstances = { accident: null, pace: [] }

/** A call that takes longer in real time hangs, even on a slow machine. */
const MAX_CALL_MS = 240_000

/**
 * Calls a function and waits until it ends or stalls. Its errors are ignored: a host would log them and call
 * the function again, as the story does.
 */
export async function callFunction(
  world: World,
  name: string,
  work: (input: FunctionInput) => Promise<unknown>,
  { accident, pace }: Circumstances = UNDISTURBED,
): Promise<void> {
  const { context, clock, running, stalled } = world
  const onAccident = (kind: string, place: string) => world.count(`${kind} at the ${place}`)
  const call = beginCall({ name, begunAt: clock.nowMs(), accident, pace, onAccident })
  const own: WithTape = {
    ...context,
    owner: `${name}-${world.groundTruth.seq()}`,
    now: clock.now,
    database: databaseOf(context.database, clock.nowMs, call),
    s3: world.store.clientFor(call),
    queues: world.queues.clientFor(call),
    tape: world.tapeLibrary.driverFor(call),
  }
  running.add(call)
  const hanging = Promise.withResolvers<never>()
  const hangs = setTimeout(() => hanging.reject(new Error(`${name} hangs`)), MAX_CALL_MS)
  const ended = work({ context: own, signal: call.signal, call })
    .then(
      () => {},
      () => {},
    )
    .finally(() => {
      clearTimeout(hangs)
      running.delete(call)
      world.ended.push(call.begunAt)
    })
  if ((await Promise.race([ended, call.stalled, hanging.promise])) !== 'stalled') return
  clearTimeout(hangs)
  stalled.push({ call, ended })
}

/** When the earliest call began that is running or ended since the last call of `oldestCallSince`. */
export function oldestCallSince({ clock, running, ended }: World): number {
  return Math.min(clock.nowMs(), ...ended.splice(0), ...[...running].map((call) => call.begunAt))
}
