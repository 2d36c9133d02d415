/**
 * A real Alertmanager on 127.0.0.1: Debian's package, unpacked into the cache folder and not installed, so that no
 * service of the machine starts.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from '../../../infra/local/environment.ts'
import { freePort, LOOPBACK } from '../../../infra/local/ports.ts'
import { startProcess } from '../../../infra/local/process.ts'
import { findProgram } from '../../../infra/local/programs.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'

const PACKAGE = 'prometheus-alertmanager'
const run = promisify(execFile)

/** The folder of the unpacked package. It is downloaded once per user. */
async function ensureAlertmanager(): Promise<string> {
  const cache = cacheFolder()
  const folder = join(cache, PACKAGE)
  if (existsSync(folder)) return folder
  mkdirSync(cache, { recursive: true })
  const fresh = mkdtempSync(join(cache, `${PACKAGE}-`))
  const download = () => run('apt-get', ['download', PACKAGE], { cwd: fresh })
  // A new machine has no package lists, and old lists name files that are no longer available.
  await download().catch(async () => {
    await run('apt-get', ['update'])
    await download()
  })
  const [file = ''] = readdirSync(fresh)
  await run('dpkg', ['-x', file, 'root'], { cwd: fresh })
  renameSync(join(fresh, 'root'), folder)
  rmSync(fresh, { recursive: true })
  return folder
}

/** What Alertmanager's API states of an alert. */
export interface ServedAlert {
  readonly labels: Readonly<Record<string, string>>
  readonly status: {
    readonly state: 'active' | 'suppressed' | 'unprocessed'
    readonly silencedBy: readonly string[]
    readonly inhibitedBy: readonly string[]
  }
}

export interface RealAlertmanager {
  readonly url: string
  /** A request to the API, version 2. */
  ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>
  close(): Promise<void>
}

/** @param configuration its file, as JSON, which is YAML. */
export async function startAlertmanager(configuration: object): Promise<RealAlertmanager> {
  const folder = await ensureAlertmanager()
  const dataFolder = temporaryFolder()
  const file = join(dataFolder, 'alertmanager.yml')
  writeFileSync(file, JSON.stringify(configuration))
  const url = `http://${LOOPBACK}:${await freePort()}`
  // It reads its templates at a fixed path below /usr/share, which is shown to it in a mount space of its own.
  const script = 'mount --bind "$1/usr/share" /usr/share && shift && exec "$@"'
  const service = await startProcess({
    name: 'alertmanager',
    dataFolder,
    program: (await findProgram('unshare')) ?? 'unshare',
    args: [
      ...(process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--map-root-user']),
      ...['sh', '-c', script, 'sh', folder],
      join(folder, 'usr/bin', PACKAGE),
      `--config.file=${file}`,
      `--storage.path=${join(dataFolder, 'data')}`,
      `--web.listen-address=${new URL(url).host}`,
      '--cluster.listen-address=',
    ],
    probe: async (signal) => (await fetch(`${url}/-/ready`, { signal })).ok,
  })
  return {
    url,
    async ask(method, path, body) {
      const answer = await fetch(`${url}/api/v2${path}`, {
        method,
        headers: { 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const text = await answer.text()
      return { status: answer.status, body: text === '' ? null : JSON.parse(text) }
    },
    async close() {
      await service.stop()
      rmSync(dataFolder, { recursive: true, force: true })
    },
  }
}

/**
 * Which receiver `amtool` finds for the labels in the tree of routes of a configuration.
 * @throws an error with its output for a configuration that it refuses.
 */
export async function receiversOf(
  configuration: object,
  labels: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const folder = await ensureAlertmanager()
  const dataFolder = temporaryFolder()
  const file = join(dataFolder, 'alertmanager.yml')
  writeFileSync(file, JSON.stringify(configuration))
  try {
    const given = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    const { stdout } = await run(join(folder, 'usr/bin/amtool'), [
      ...['config', 'routes', 'test', '--config.file', file],
      ...given,
    ])
    return stdout.trim().split(',')
  } finally {
    rmSync(dataFolder, { recursive: true, force: true })
  }
}
