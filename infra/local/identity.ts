/**
 * Who a process is. A pid alone is not an identity: the number is given out again. The pid with the moment
 * the process started (in clock ticks since boot, field 22 of /proc/<pid>/stat, see proc(5)) and the boot it
 * belongs to is one.
 */
import { readFileSync } from 'node:fs'

/** One process of this machine, for ever: never equal to a later process that was given the same number. */
export interface ProcessIdentity {
  readonly pid: number
  /**
   * Clock ticks since boot; null where there is no /proc (then nothing is ever recognised, and so never
   * stopped).
   */
  readonly startTicks: string | null
  readonly bootId: string | null
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

/**
 * State letter and start time from /proc/<pid>/stat. The name may hold spaces and brackets: count from the
 * last one.
 */
function stat(pid: number): { readonly state: string; readonly startTicks: string } | null {
  const text = read(`/proc/${pid}/stat`)
  if (text === null) return null
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, startTicks] = [fields[0], fields[19]]
  return state === undefined || startTicks === undefined ? null : { state, startTicks }
}

/** The identity of a process that runs now. */
export function identify(pid: number): ProcessIdentity {
  return {
    pid,
    startTicks: stat(pid)?.startTicks ?? null,
    bootId: read('/proc/sys/kernel/random/boot_id')?.trim() ?? null,
  }
}

/** True when exactly this process still runs; false when in doubt. A zombie no longer runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  if (identity.startTicks === null || identity.bootId === null) return false
  const now = stat(identity.pid)
  if (now === null || now.state === 'Z' || now.state === 'X') return false
  return now.startTicks === identity.startTicks && identify(identity.pid).bootId === identity.bootId
}

/** The command line of a process, its arguments in order; empty when it cannot be read. */
export function commandLine(pid: number): readonly string[] {
  return (read(`/proc/${pid}/cmdline`) ?? '').split('\0').slice(0, -1)
}
