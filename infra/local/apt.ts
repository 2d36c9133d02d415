/**
 * Installs Debian packages without interaction: as root, or with sudo where it asks for no password. Otherwise
 * the error states the command to type.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import { childEnvironment } from './environment.ts'
import { findProgram } from './programs.ts'

const run = promisify(execFile)
const MOST_OUTPUT_BYTES = 64 * 1024 * 1024

export interface AptOptions {
  readonly packages: readonly string[]
  /** The purpose of the packages in a few words, for the messages. */
  readonly reason: string
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((line: string) => void) | undefined
  /** For tests: the programs, and whether the process runs as root. */
  readonly aptGet?: string | null
  readonly sudo?: string | null
  readonly root?: boolean
}

/**
 * Installs packages, and reports this with one line first. When the installation fails, the package lists are
 * updated and it is repeated once.
 * @throws InvalidInputError without the right to install, or without apt: the message states what to type.
 * @throws TransientError when apt fails; the message has the end of its output.
 */
export async function installWithApt(options: AptOptions): Promise<void> {
  const { packages, reason } = options
  const aptGet = options.aptGet === undefined ? await findProgram('apt-get') : options.aptGet
  if (aptGet === null)
    throw new InvalidInputError(
      `${reason} is not installed, and there is no apt here: install it with your system's packages`,
    )
  const prefix = await privileges(options)
  if (prefix === null)
    throw new InvalidInputError(
      `${reason} is not installed; type: sudo apt-get update && sudo apt-get install -y ${packages.join(' ')}`,
    )

  options.onProgress?.(`${reason} is not installed: installing ${packages.join(' ')} with apt`)
  const apt = (...args: string[]) =>
    execute([...prefix, aptGet, '-q', '-o', 'DPkg::Lock::Timeout=300', ...args], options.signal)
  const install = () => apt('install', '-y', '--no-install-recommends', ...packages)
  try {
    await install()
  } catch {
    options.signal?.throwIfAborted()
    // A new machine has no package lists, and old lists name files that are no longer available.
    await apt('update')
    await install()
  }
}

/** The prefix with which a command runs as root: empty, or sudo; null without the right. */
async function privileges(options: AptOptions): Promise<readonly string[] | null> {
  const environment = ['env', 'DEBIAN_FRONTEND=noninteractive']
  if (options.root ?? process.getuid?.() === 0) return environment
  const sudo = options.sudo === undefined ? await findProgram('sudo') : options.sudo
  if (sudo === null) return null
  const allowed = await run(sudo, ['-n', 'true'], { env: childEnvironment() }).then(
    () => true,
    () => false,
  )
  return allowed ? [sudo, '-n', ...environment] : null
}

async function execute(command: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  const [program = '', ...args] = command
  try {
    await run(program, args, {
      env: childEnvironment(),
      maxBuffer: MOST_OUTPUT_BYTES,
      ...(signal && { signal }),
    })
  } catch (cause) {
    signal?.throwIfAborted()
    const { stdout = '', stderr = '' } = cause as { readonly stdout?: string; readonly stderr?: string }
    const end = `${stdout}\n${stderr}`.trim().split('\n').slice(-12).join('\n')
    throw new TransientError(`${command.join(' ')} failed:\n${end}`, {}, { cause })
  }
}
