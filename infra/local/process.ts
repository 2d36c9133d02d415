/**
 * A development service as a private child process with its own folder, log and pid file. The start returns when
 * the service answers, and the service stops with this process, however it ends.
 *
 * A service is stopped by `stop()`, by the exit of this process, and, where the machine has setpriv (util-linux,
 * every Debian), by the kernel, which sends SIGTERM to the child when this process is killed; our own services
 * notice that themselves (lifeline.ts). A service that still survives is found by its pid file at the next start.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  statSync,
} from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import { type ChildEnvironment, childEnvironment } from './environment.ts'
import { clearPidFile, removePidFile, writePidFile } from './pid-file.ts'
import { findProgram } from './programs.ts'

/** A running service. */
export interface Service {
  readonly name: string
  readonly pid: number
  /** The file with the output of the service. */
  readonly logFile: string
  /**
   * Settles when the process has ended for any reason, with the way it ended ("exit code 1", "signal SIGKILL").
   */
  readonly ended: Promise<string>
  /** SIGTERM, after the grace period SIGKILL; returns when the process has ended. May be called again. */
  stop(): Promise<void>
}

export interface StartOptions {
  /** The name of the service, of its folder and of its log file. */
  readonly name: string
  /** The folder of all services, normally `.cygnet`; an absolute path. */
  readonly dataFolder: string
  /** Full path of the program. */
  readonly program: string
  readonly args: readonly string[]
  /** Variables added to the few that every service gets. */
  readonly environment?: ChildEnvironment
  /**
   * Returns when the service answers; throws or returns false while it does not. Called until it succeeds.
   */
  readonly probe: (signal: AbortSignal) => Promise<unknown>
  /**
   * The default is long enough for a slow machine on which everything starts at the same time. A service that ends
   * is noticed immediately.
   */
  readonly timeoutSeconds?: number
  /** How long the service may take to stop before it is killed. */
  readonly graceSeconds?: number
  /** Sent to the service when this process dies; default: TERM. KILL for one that may wait for others to end. */
  readonly deathSignal?: 'TERM' | 'KILL'
  readonly signal?: AbortSignal | undefined
}

const PROBE_INTERVAL_MS = 20
const LOG_ROTATE_BYTES = 16 * 1024 * 1024
const living = new Map<ChildProcess, 'SIGTERM' | 'SIGKILL'>()
let exitHookInstalled = false

/** The folder of one service; created if it is missing, readable only by its owner. */
export function serviceFolder(dataFolder: string, name: string): string {
  const folder = join(dataFolder, name)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return folder
}

/**
 * Starts a service and waits until it answers.
 * @throws TransientError when it ends or does not answer in time; the message has the last lines of its log.
 * @throws InvalidInputError when there is no such program, or the service already runs in this folder for another
 * process.
 */
export async function startProcess(options: StartOptions): Promise<Service> {
  options.signal?.throwIfAborted()
  const { name, dataFolder, graceSeconds = 15 } = options
  await access(options.program, constants.X_OK).catch((cause: unknown) => {
    throw new InvalidInputError(`${name}: cannot run ${options.program}`, { service: name }, { cause })
  })
  const pidFile = join(serviceFolder(dataFolder, name), 'pid')
  await clearPidFile({ path: pidFile, service: name, graceSeconds, signal: options.signal })

  const logFile = join(serviceFolder(dataFolder, 'logs'), `${name}.log`)
  const child = await launch({ ...options, logFile, pidFile })
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signalName) =>
      resolve(signalName === null ? `exit code ${code}` : `signal ${signalName}`),
    )
  })
  const { pid } = child
  if (pid === undefined)
    throw new TransientError(`${name} could not be started: ${await ended}`, { service: name })
  const cleanedUp = ended.then(() => {
    living.delete(child)
    removePidFile(pidFile, pid)
  })
  const stop = async () => {
    child.kill('SIGTERM')
    const killer = setTimeout(() => child.kill('SIGKILL'), graceSeconds * 1000)
    await cleanedUp
    clearTimeout(killer)
  }
  try {
    await untilAnswering({ ...options, ended, logFile })
  } catch (error) {
    await stop()
    throw error
  }
  return { name, pid, logFile, ended, stop }
}

async function launch(
  options: StartOptions & { readonly logFile: string; readonly pidFile: string },
): Promise<ChildProcess> {
  // The kernel signals the child when its starter dies. setpriv executes the program with the same pid.
  const { deathSignal = 'TERM' } = options
  const setpriv = await findProgram('setpriv')
  const command = [options.program, ...options.args]
  const [program, ...args] =
    setpriv === null ? command : [setpriv, '--pdeathsig', deathSignal, '--', ...command]
  if (existsSync(options.logFile) && statSync(options.logFile).size > LOG_ROTATE_BYTES)
    renameSync(options.logFile, `${options.logFile}.1`)
  const log = openSync(options.logFile, 'a', 0o600)
  try {
    const child = spawn(program as string, args, {
      // Its own session: Ctrl-C in the terminal reaches only this process, which stops the services in order.
      detached: true,
      // Nothing is written to its input; it ends with this process (lifeline.ts).
      stdio: ['pipe', log, log],
      env: childEnvironment(options.environment),
      cwd: serviceFolder(options.dataFolder, options.name),
    })
    if (child.pid !== undefined) {
      writePidFile(options.pidFile, child.pid, command)
      living.set(child, `SIG${deathSignal}`)
      installExitHook()
    }
    return child
  } finally {
    closeSync(log)
  }
}

async function untilAnswering(
  options: StartOptions & { readonly ended: Promise<string>; readonly logFile: string },
): Promise<void> {
  const { name, timeoutSeconds = 300 } = options
  const timeout = AbortSignal.timeout(timeoutSeconds * 1000)
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal])
  const end: { how?: string } = {}
  options.ended.then((how) => {
    end.how = how
  })
  let last: unknown = new Error('it was not probed yet')
  while (!signal.aborted) {
    const answered = await options.probe(signal).then(
      (answer) => answer !== false,
      (error: unknown) => {
        last = error
        return false
      },
    )
    if (end.how !== undefined)
      throw new TransientError(
        `${name} ended (${end.how}) before it answered.${lastLines(options.logFile)}`,
        { service: name },
      )
    if (answered) return
    await sleep(PROBE_INTERVAL_MS)
  }
  options.signal?.throwIfAborted()
  throw new TransientError(
    `${name} does not answer after ${timeoutSeconds} s.${lastLines(options.logFile)}`,
    { service: name },
    { cause: last },
  )
}

/** The end of a log, for an error message; empty when there is none. */
function lastLines(path: string, count = 12): string {
  try {
    const { size } = statSync(path)
    const bytes = Buffer.alloc(Math.min(size, 8192))
    const file = openSync(path, 'r')
    readSync(file, bytes, 0, bytes.length, size - bytes.length)
    closeSync(file)
    const lines = bytes.toString('utf8').trimEnd().split('\n').slice(-count).join('\n')
    return lines === '' ? '' : ` The last lines of ${path}:\n${lines}`
  } catch {
    return ''
  }
}

/**
 * Signals every service when this process exits, also by an uncaught error. Nothing can be awaited in this hook.
 */
function installExitHook(): void {
  if (exitHookInstalled) return
  exitHookInstalled = true
  process.on('exit', () => {
    for (const [child, signal] of living) child.kill(signal)
  })
}
