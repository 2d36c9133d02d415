/**
 * `npm run setup [-- --with minio,ceph,xrootd,chromium]`: installs programs for the development services that npm
 * cannot install. Without missing programs it does and prints nothing; `npm test`, `cygnet up` and `cygnet demo`
 * call it first.
 */
import { parseArgs } from 'node:util'
import { InvalidInputError } from '../../shared/errors.ts'
import { installWithApt } from './apt.ts'
import { findProgram } from './programs.ts'

export const MARIADB_PACKAGES = ['mariadb-server-core', 'mariadb-client-core'] as const

/** Real services that are set up only on request. */
export const EXTRAS = ['minio', 'ceph', 'xrootd', 'discord'] as const
export type Extra = (typeof EXTRAS)[number]

/** Programs that only tests use, installed on request; not part of a stack. */
const TOOLS = ['chromium'] as const
type Tool = (typeof TOOLS)[number]

export interface SetUpOptions {
  readonly extras?: readonly (Extra | Tool)[]
  readonly signal?: AbortSignal | undefined
  /** Called with a line for each installation. Default: standard error. */
  readonly onProgress?: (line: string) => void
}

/**
 * Installs the missing programs.
 * @throws InvalidInputError with the command to type, when the process has no right to install.
 * @throws TransientError when an installation or a build fails.
 */
export async function setUp(options: SetUpOptions = {}): Promise<void> {
  const onProgress =
    options.onProgress ?? ((line: string) => void process.stderr.write(`cygnet setup: ${line}\n`))
  const { signal } = options
  const missing =
    (await findProgram('mariadbd')) === null || (await findProgram('mariadb-install-db')) === null
  if (missing) await installWithApt({ packages: MARIADB_PACKAGES, reason: 'MariaDB', signal, onProgress })
  if (options.extras?.includes('minio')) {
    const { ensureMinio } = await import('./services/minio.ts')
    await ensureMinio({ signal, onProgress })
  }
  if (options.extras?.includes('ceph')) {
    const { ensureCeph } = await import('./services/ceph.ts')
    await ensureCeph({ signal, onProgress })
  }
  if (options.extras?.includes('xrootd')) {
    const { ensureXrootd } = await import('./services/xrootd/xrootd.ts')
    await ensureXrootd({ signal, onProgress })
  }
  if (options.extras?.includes('chromium') && (await findChromium()) === null)
    await installWithApt({ packages: ['chromium'], reason: 'Chromium', signal, onProgress })
}

/**
 * The browser for tests of the pages, under its name in Debian, Ubuntu or Google's packages; null if missing.
 */
export async function findChromium(): Promise<string | null> {
  const found = await Promise.all(
    ['chromium', 'chromium-browser', 'google-chrome'].map((name) => findProgram(name)),
  )
  return found.find((path) => path !== null) ?? null
}

function parseExtras(values: readonly string[]): readonly (Extra | Tool)[] {
  const known = [...EXTRAS, ...TOOLS]
  const names = values.flatMap((value) => value.split(',')).map((name) => name.trim())
  const unknown = names.filter((name) => !known.some((extra) => extra === name))
  if (unknown.length > 0)
    throw new InvalidInputError(`--with ${unknown.join(',')}: unknown; the parts are ${known.join(', ')}`)
  return known.filter((extra) => names.includes(extra))
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { with: { type: 'string', multiple: true, default: [] } } })
  await setUp({ extras: parseExtras(values.with) })
}

if (import.meta.main) {
  main().catch((error: unknown) => {
    process.stderr.write(`cygnet setup: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  })
}
