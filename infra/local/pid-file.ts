/**
 * The pid file of a service: the process of the service and the process that started it. With it the next start
 * distinguishes a stale file (the service is not running), an orphan (its starter died: it is stopped) and a
 * service in use (it is left running).
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import { commandLine, identify, isRunning } from './identity.ts'

const identitySchema = z.object({
  pid: z.int().positive(),
  startTicks: z.string().nullable(),
  bootId: z.string().nullable(),
})
const schema = z.object({
  service: identitySchema,
  starter: identitySchema,
  command: z.array(z.string()).min(1),
})
type PidFile = z.infer<typeof schema>

/** Writes the pid file of a child that this process has started; `command` is its program and arguments. */
export function writePidFile(path: string, pid: number, command: readonly string[]): void {
  const content: PidFile = { service: identify(pid), starter: identify(process.pid), command: [...command] }
  writeFileSync(path, `${JSON.stringify(content)}\n`, { mode: 0o600 })
}

/** Removes the pid file if it is still about this pid. */
export function removePidFile(path: string, pid: number): void {
  if (read(path)?.service.pid === pid) rmSync(path, { force: true })
}

function read(path: string): PidFile | null {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return null // missing, incomplete or not ours: no process is stopped because of it
  }
}

/**
 * Prepares a new start: removes a stale pid file and stops an orphan of an earlier, dead process. A process is
 * stopped only when its pid, start time, boot and command line match the pid file.
 *
 * @throws InvalidInputError when the service belongs to a running process (`cygnet up` in another terminal).
 * @throws TransientError when an orphan does not end.
 */
export async function clearPidFile(options: {
  readonly path: string
  readonly service: string
  readonly graceSeconds: number
  readonly signal?: AbortSignal | undefined
}): Promise<void> {
  const found = read(options.path)
  if (found !== null && isRunning(found.service) && runsCommand(found.service.pid, found.command)) {
    if (isRunning(found.starter) && found.starter.pid !== process.pid)
      throw new InvalidInputError(
        `${options.service} is already running here for process ${found.starter.pid} (another cygnet in the same folder?): stop that one first`,
        { service: options.service, pid: found.service.pid, starter: found.starter.pid },
      )
    if (isRunning(found.starter))
      throw new InvalidInputError(
        `${options.service} was already started by this process in the same folder`,
        { service: options.service },
      )
    await stopRunning(found, options)
  }
  rmSync(options.path, { force: true })
}

async function stopRunning(
  found: PidFile,
  options: {
    readonly service: string
    readonly graceSeconds: number
    readonly signal?: AbortSignal | undefined
  },
) {
  for (const [signalName, seconds] of [['SIGTERM', options.graceSeconds] as const, ['SIGKILL', 5] as const]) {
    if (!isRunning(found.service)) return
    try {
      process.kill(found.service.pid, signalName)
    } catch {
      return // it has just ended
    }
    const until = performance.now() + seconds * 1000
    while (isRunning(found.service) && performance.now() < until)
      await sleep(20, undefined, { signal: options.signal })
  }
  if (isRunning(found.service))
    throw new TransientError(
      `${options.service}: process ${found.service.pid} of an earlier start does not end`,
      {
        pid: found.service.pid,
      },
    )
}

/**
 * True when the process has this command line, possibly after an interpreter or `setpriv`, which keep the order
 * of the arguments.
 */
function runsCommand(pid: number, command: readonly string[]): boolean {
  const running = commandLine(pid)
  const program = (path: string | undefined) => path?.slice(path.lastIndexOf('/') + 1)
  const tail = running.slice(running.length - command.length)
  return (
    tail.length === command.length &&
    program(tail[0]) === program(command[0]) &&
    command.slice(1).every((argument, i) => argument === tail[i + 1])
  )
}
