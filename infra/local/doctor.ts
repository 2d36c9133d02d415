/**
 * Checks the programs and resources that Cygnet uses, for `cygnet doctor`: what was found, what needs it, and the
 * command that installs it.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { promisify } from 'node:util'
import { childEnvironment } from './environment.ts'
import { freePort, LOOPBACK } from './ports.ts'
import { findProgram } from './programs.ts'
import { missingCeph } from './services/ceph.ts'
import { findMinio } from './services/minio.ts'
import { missingXrootd } from './services/xrootd/xrootd.ts'
import { findChromium, MARIADB_PACKAGES } from './setup.ts'

export interface Diagnosis {
  readonly name: string
  readonly ok: boolean
  /** False when Cygnet also runs without it, slower or with fewer services. */
  readonly required: boolean
  readonly found: string
  readonly neededFor: string
  /** What to type or do; null when it is present. */
  readonly remedy: string | null
}

const OLDEST_NODE = 24
const LEAST_FREE_BYTES = 2 * 1024 ** 3
const MARIADB_REMEDY = `npm run setup (or: apt-get install -y ${MARIADB_PACKAGES.join(' ')})`

/**
 * Runs all checks; takes about a second and changes nothing, except that it creates the data folder. A negative
 * result is not an error.
 */
export async function diagnose(
  options: { readonly dataFolder?: string; readonly signal?: AbortSignal | undefined } = {},
): Promise<readonly Diagnosis[]> {
  const { dataFolder = '.cygnet', signal } = options
  return Promise.all([
    node(),
    program({
      name: 'mariadbd',
      required: true,
      neededFor: 'the catalogue of cygnet up, demo and the tests',
      remedy: MARIADB_REMEDY,
      signal,
    }),
    program({
      name: 'mariadb-install-db',
      args: [],
      required: true,
      neededFor: 'a private database',
      remedy: MARIADB_REMEDY,
      signal,
    }),
    program({
      name: 'setpriv',
      required: false,
      neededFor: 'services that end when cygnet is killed',
      remedy: 'apt-get install -y util-linux',
      signal,
    }),
    program({
      name: 'igzip',
      required: false,
      neededFor: 'reading .gz runs with CYGNET_IGZIP=auto',
      remedy: 'apt-get install -y isal',
      signal,
    }),
    program({
      name: 'bzip2',
      required: false,
      neededFor: 'reading .bz2 runs',
      remedy: 'apt-get install -y bzip2',
      signal,
    }),
    minio(signal),
    program({
      name: 'go',
      args: ['version'],
      required: false,
      neededFor: 'building MinIO (--with minio)',
      remedy: 'see https://go.dev/doc/install',
      signal,
    }),
    ceph(),
    xrootd(),
    chromium(signal),
    disk(dataFolder),
    folder(dataFolder),
    ports(),
  ])
}

function node(): Diagnosis {
  const ok = Number(process.versions.node.split('.')[0]) >= OLDEST_NODE
  return {
    name: 'node',
    ok,
    required: true,
    found: process.version,
    neededFor: 'everything',
    remedy: ok ? null : 'npm ci (it brings Node 24), then cli/cygnet',
  }
}

async function program(options: {
  readonly name: string
  readonly args?: readonly string[]
  readonly required: boolean
  readonly neededFor: string
  readonly remedy: string
  readonly signal: AbortSignal | undefined
}): Promise<Diagnosis> {
  const { name, required, neededFor } = options
  const path = await findProgram(name)
  if (path === null)
    return { name, ok: false, required, found: 'not found', neededFor, remedy: options.remedy }
  return {
    name,
    ok: true,
    required,
    found: await version(path, options.args ?? ['--version'], options.signal),
    neededFor,
    remedy: null,
  }
}

/**
 * The path of a program, with the first line that it prints about its version, if any. Some programs print it on
 * standard error.
 */
async function version(
  path: string,
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string> {
  if (args.length === 0) return path
  const run = promisify(execFile)(path, [...args], {
    env: childEnvironment(),
    timeout: 10_000,
    ...(signal && { signal }),
  })
  const { stdout, stderr } = await run.catch(() => ({ stdout: '', stderr: '' }))
  const line = `${stdout}\n${stderr}`.trim().split('\n')[0]?.trim().slice(0, 100)
  const text = line?.replace(path, '').trim() ?? ''
  return text === '' ? path : `${path} (${text})`
}

async function minio(signal: AbortSignal | undefined): Promise<Diagnosis> {
  const path = await findMinio()
  const shared = { name: 'minio', required: false, neededFor: 'cygnet up --with minio, npm run test:real' }
  if (path === null)
    return {
      ...shared,
      ok: false,
      found: 'not found',
      remedy: 'npm run setup -- --with minio (builds it; needs Go)',
    }
  return { ...shared, ok: true, found: await version(path, ['--version'], signal), remedy: null }
}

async function chromium(signal: AbortSignal | undefined): Promise<Diagnosis> {
  const path = await findChromium()
  const shared = { name: 'chromium', required: false, neededFor: 'npm run test:browser' }
  if (path === null)
    return {
      ...shared,
      ok: false,
      found: 'not found',
      remedy: 'npm run setup -- --with chromium (installs it with apt)',
    }
  return { ...shared, ok: true, found: await version(path, ['--version'], signal), remedy: null }
}

async function ceph(): Promise<Diagnosis> {
  const missing = await missingCeph()
  const shared = { name: 'ceph', required: false, neededFor: 'cygnet up --with ceph, npm run test:real' }
  if (missing.length > 0)
    return {
      ...shared,
      ok: false,
      found: `not found: ${missing.join(', ')}`,
      remedy: 'npm run setup -- --with ceph (installs it with apt)',
    }
  return { ...shared, ok: true, found: 'a monitor, an OSD and the RADOS gateway', remedy: null }
}

async function xrootd(): Promise<Diagnosis> {
  const missing = await missingXrootd()
  const shared = { name: 'xrootd', required: false, neededFor: 'cygnet up --with xrootd, npm run test:real' }
  if (missing.length > 0)
    return {
      ...shared,
      ok: false,
      found: `not found: ${missing.join(', ')}`,
      remedy: 'npm run setup -- --with xrootd (installs it with apt)',
    }
  return {
    ...shared,
    ok: true,
    found: 'xrootd with HTTP, third-party copy and tokens; gfal2-util',
    remedy: null,
  }
}

/** The folder itself, or its nearest existing parent. */
function nearestFolder(path: string): string {
  let folder = resolve(path)
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}

async function disk(dataFolder: string): Promise<Diagnosis> {
  const place = nearestFolder(dataFolder)
  const { bavail, bsize } = await statfs(place)
  const freeBytes = bavail * bsize
  const ok = freeBytes >= LEAST_FREE_BYTES
  const found = `${(freeBytes / 1024 ** 3).toFixed(1)} GiB free at ${place}`
  return {
    name: 'disk',
    ok,
    required: true,
    found,
    neededFor: 'runs, the database and logs',
    remedy: ok ? null : `free at least 2 GiB at ${place}`,
  }
}

function folder(dataFolder: string): Diagnosis {
  const shared = { name: 'data folder', required: true, neededFor: 'the data of cygnet up' }
  try {
    mkdirSync(dataFolder, { recursive: true, mode: 0o700 })
    accessSync(dataFolder, constants.R_OK | constants.W_OK | constants.X_OK)
    return { ...shared, ok: true, found: resolve(dataFolder), remedy: null }
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error)
    return { ...shared, ok: false, found, remedy: `make ${resolve(dataFolder)} writable for this user` }
  }
}

async function ports(): Promise<Diagnosis> {
  const shared = { name: 'ports', required: true, neededFor: 'services on the loopback address' }
  try {
    return {
      ...shared,
      ok: true,
      found: `free ports on ${LOOPBACK} (e.g. ${await freePort()})`,
      remedy: null,
    }
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error)
    return { ...shared, ok: false, found, remedy: `allow programs to listen on ${LOOPBACK}` }
  }
}
