/** Unpacks the packages of osls, and imports each as Lambda does: alone, in plain Node. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { InvalidInputError } from '../../shared/errors.ts'
import { childEnvironment } from '../local/environment.ts'
import { readManifest } from '../local/manifest.ts'
import { PROJECT } from './osls.ts'
import { readZip } from './zip.ts'

export interface Bundle {
  readonly function: string
  /** The one JavaScript file. */
  readonly path: string
  readonly zipBytes: number
  readonly bundleBytes: number
}

/** Settings with which a function starts; it makes no connection. */
const SETTINGS = {
  CYGNET_DATABASE_URL: 'mysql://user:password@127.0.0.1:1/cygnet',
  CYGNET_NOTIFICATION_TOKEN: 'token',
  CYGNET_LOG_LEVEL: 'silent',
}

/** Runs in a child process: prints the time of the import, milliseconds, and the type of the handler. */
const PROBE = `
const began = performance.now()
const { handler } = require(process.argv[1])
console.log(JSON.stringify({ ms: performance.now() - began, type: typeof handler }))
process.exit(0)`

/**
 * Unpacks the package of every function into a temporary folder (outside the project, so that its node_modules are
 * not found), calls `work` with them, and removes the folder.
 * @throws InvalidInputError when a package does not have exactly one file.
 */
export async function withBundles<T>(
  work: (bundles: readonly Bundle[]) => Promise<T>,
  project = PROJECT,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'cygnet-bundles-'))
  try {
    return await work(
      await Promise.all(readManifest().functions.map(({ name }) => unpack(name, project, folder))),
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function unpack(name: string, project: string, folder: string): Promise<Bundle> {
  const zip = await readFile(join(project, '.serverless', `${name}.zip`))
  const [entry, ...more] = readZip(zip)
  if (entry === undefined || more.length > 0)
    throw new InvalidInputError(`the package of ${name} should hold one file, not ${more.length + 1}`)
  const path = join(folder, name, entry.path)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, entry.bytes)
  return { function: name, path, zipBytes: zip.length, bundleBytes: entry.bytes.length }
}

/**
 * Imports a bundle in a new process.
 * @returns milliseconds from the start of the import to the ready handler (Node's own start is not in it).
 * @throws InvalidInputError when it cannot be imported, or its handler is not a function.
 */
export async function importBundle(bundle: Bundle): Promise<number> {
  const child = spawn(process.execPath, ['-e', PROBE, bundle.path], {
    cwd: dirname(bundle.path),
    env: childEnvironment(SETTINGS),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, problem] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  const lines = out.trim().split('\n')
  const answer =
    child.exitCode === 0 ? (JSON.parse(lines.at(-1) ?? '{}') as { ms: number; type: string }) : null
  if (answer?.type !== 'function')
    throw new InvalidInputError(
      `the bundle of ${bundle.function} gives no handler: ${answer?.type ?? problem.trim()}`,
    )
  return answer.ms
}
