/**
 * The identity of a process. A pid alone is none, since pids are reused. The identity is the pid with the start
 * time of the process (clock ticks since boot, field 22 of /proc/<pid>/stat, see proc(5)) and the id of the boot.
 */
import { readFileSync } from 'node:fs'

/** One process of this machine; it never equals a later process with the same pid. */
export interface ProcessIdentity {
  readonly pid: number
  /**
   * Clock ticks since boot; null where there is no /proc (then no process is recognised, and none is stopped).
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
 * State letter and start time from /proc/<pid>/stat. The name of the process may have spaces and brackets, so the
 * fields are counted from the last bracket.
 */
function stat(pid: number): { readonly state: string; readonly startTicks: string } | null {
  const text = read(`/proc/${pid}/stat`)
  if (text === null) return null
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, startTicks] = [fields[0], fields[19]]
  return state === undefined || startTicks === undefined ? null : { state, startTicks }
}

/** The identity of a running process. */
export function identify(pid: number): ProcessIdentity {
  return {
    pid,
    startTicks: stat(pid)?.startTicks ?? null,
    bootId: read('/proc/sys/kernel/random/boot_id')?.trim() ?? null,
  }
}

/** True when exactly this process is running; false when in doubt. A zombie is not running. */
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
