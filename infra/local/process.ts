/**
 * A development service as a private child process: its own folder, its own log, a pid file, started until it
 * answers and stopped with us, however we end.
 *
 * Three nets catch a service when its starter goes: `stop()`; the exit of this process; and, where the
 * machine has setpriv (util-linux, every Debian), the kernel itself, which sends SIGTERM to the child when
 * this process is killed. What still slips through (no setpriv, a kill in the same instant) is found by its
 * pid file at the next start.
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
  /** The file that holds what the service printed. */
  readonly logFile: string
  /**
   * Settles when the process has ended, wanted or not, with a sentence that says how ("exit code 1", "signal
   * SIGKILL").
   */
  readonly ended: Promise<string>
  /** SIGTERM, after the grace period SIGKILL; returns when the process is gone. Safe to call again. */
  stop(): Promise<void>
}

export interface StartOptions {
  /** The service's name: its folder and its log file are called so. */
  readonly name: string
  /** The folder that holds everything of ours, normally `.cygnet`; an absolute path. */
  readonly dataFolder: string
  /** Full path of the program. */
  readonly program: string
  readonly args: readonly string[]
  /** Variables added to the few that every service gets. */
  readonly environment?: ChildEnvironment
  /**
   * Returns once the service answers and throws (or returns false) while it does not yet. Called until it
   * succeeds.
   */
  readonly probe: (signal: AbortSignal) => Promise<unknown>
  /**
   * Absent: long enough for a slow machine on which everything starts at the same time. One that ends is
   * noticed at once.
   */
  readonly timeoutSeconds?: number
  /** How long the service may take to end in order before it is killed. */
  readonly graceSeconds?: number
  readonly signal?: AbortSignal | undefined
}

const PROBE_INTERVAL_MS = 20
const LOG_ROTATE_BYTES = 16 * 1024 * 1024
const living = new Set<ChildProcess>()
let exitHookInstalled = false

/** The folder of one service, made (readable by its owner only) when it is not there. */
export function serviceFolder(dataFolder: string, name: string): string {
  const folder = join(dataFolder, name)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return folder
}

/**
 * Starts a service and waits until it answers.
 * @throws TransientError when it ends or does not answer in time; the message holds the last lines of its
 * log.
 * @throws InvalidInputError when there is no such program, or the service already runs in this folder for
 * somebody else.
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
  const forget = ended.then(() => {
    living.delete(child)
    removePidFile(pidFile, pid)
  })
  const stop = async () => {
    child.kill('SIGTERM')
    const killer = setTimeout(() => child.kill('SIGKILL'), graceSeconds * 1000)
    await forget
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
  // The kernel tells the child when its starter dies; setpriv then becomes the program itself, with the same
  // pid.
  const setpriv = await findProgram('setpriv')
  const command = [options.program, ...options.args]
  const [program, ...args] = setpriv === null ? command : [setpriv, '--pdeathsig', 'TERM', '--', ...command]
  if (existsSync(options.logFile) && statSync(options.logFile).size > LOG_ROTATE_BYTES)
    renameSync(options.logFile, `${options.logFile}.1`)
  const log = openSync(options.logFile, 'a', 0o600)
  try {
    const child = spawn(program as string, args, {
      // Its own session: Ctrl-C in the terminal reaches us, and we decide in which order the services end.
      detached: true,
      stdio: ['ignore', log, log],
      env: childEnvironment(options.environment),
      cwd: serviceFolder(options.dataFolder, options.name),
    })
    if (child.pid !== undefined) {
      writePidFile(options.pidFile, child.pid, command)
      living.add(child)
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
  const giveUp = AbortSignal.timeout(timeoutSeconds * 1000)
  const signal = options.signal === undefined ? giveUp : AbortSignal.any([giveUp, options.signal])
  const end: { how?: string } = {}
  options.ended.then((how) => {
    end.how = how
  })
  let last: unknown = new Error('it was not asked yet')
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
 * When this process ends on its own (also by an uncaught error), tell every service: nothing can be awaited
 * here.
 */
function installExitHook(): void {
  if (exitHookInstalled) return
  exitHookInstalled = true
  process.on('exit', () => {
    for (const child of living) child.kill('SIGTERM')
  })
}
