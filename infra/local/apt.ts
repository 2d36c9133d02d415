/**
 * Installing Debian packages without a human: as root, or where sudo asks for no password. Where neither is
 * so, the error says the one line to type.
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
  /** What the packages are for, in a few words: it stands in the messages. */
  readonly reason: string
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((line: string) => void) | undefined
  /** For tests: the programs, and whether we are root. */
  readonly aptGet?: string | null
  readonly sudo?: string | null
  readonly root?: boolean
}

/**
 * Installs packages; says so in one line before. When apt does not know a package, its list is refreshed and
 * it is asked once more.
 * @throws InvalidInputError when we may not install, or there is no apt: the message is what to type.
 * @throws TransientError when apt fails; the message holds the end of what it printed.
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
    // A fresh machine has no package list, and an old list names files that are no longer there.
    await apt('update')
    await install()
  }
}

/** What to put before a command so that it runs as root: nothing, sudo, or null when we may not. */
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
