/** Measures contenders in turn, so that other load affects all of them; medians. */

import { readFileSync } from 'node:fs'
import { median } from '../median.ts'

export interface Timed {
  readonly seconds: number
  /** CPU time of all participating processes together: on n cores at most n times the seconds. */
  readonly coreSeconds: number
}

/** Measures the work of these processes, of this process, and of those it starts and waits for. */
export type Meter = (work: () => Promise<unknown>) => Promise<Timed>

export function createMeter(pids: readonly number[]): Meter {
  const worked = () => pids.reduce((sum, pid) => sum + coreSecondsOf(pid), coreSecondsOf(process.pid))
  return async (work) => {
    const [beganMs, workedBefore] = [performance.now(), worked()]
    await work()
    return { seconds: (performance.now() - beganMs) / 1000, coreSeconds: worked() - workedBefore }
  }
}

/** One after the other. */
export const both = (first: Timed, second: Timed): Timed => ({
  seconds: first.seconds + second.seconds,
  coreSeconds: first.coreSeconds + second.coreSeconds,
})

/**
 * Linux reports these times to programs in hundredths of a second, independent of its own clock (USER_HZ,
 * times(2)).
 */
const TICKS_PER_SECOND = 100

/**
 * CPU time of a process with all its threads and the children it waited for: utime, stime, cutime and cstime
 * of proc_pid_stat(5).
 */
function coreSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The second field is the program's name, in brackets, with arbitrary characters.
  const fromThird = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (
    fromThird
      .slice(11, 15)
      .map(Number)
      .reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_SECOND
  )
}

/** The median of each measured value over the rounds. */
export function medians<Name extends string>(
  rounds: readonly Readonly<Record<Name, Timed>>[],
): Readonly<Record<Name, Timed>> {
  const names = Object.keys(rounds[0] ?? {}) as Name[]
  const of = (name: Name, value: keyof Timed) => median(rounds.map((round) => round[name][value]))
  const entries = names.map((name) => [
    name,
    { seconds: of(name, 'seconds'), coreSeconds: of(name, 'coreSeconds') },
  ])
  return Object.fromEntries(entries) as Record<Name, Timed>
}
