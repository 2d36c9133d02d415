/**
 * The services of one test run: one MariaDB and one embedded S3 and SQS in a temporary folder, started at the
 * first request of a test and shared by all. vitest's global setup (test/setup.ts) holds them; tests use a loopback
 * address, because each test file runs in its own process.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { identify, isRunning, type ProcessIdentity } from './identity.ts'
import { KEEP_IDLE_CONNECTIONS, LOOPBACK } from './ports.ts'
import { type Embedded, startEmbedded } from './services/embedded/embedded.ts'
import { type Mariadb, startMariadb } from './services/mariadb.ts'

const FOLDER_PREFIX = 'cygnet-test-'
const OWNER_FILE = 'owner.json'

/** The address of the test services, given to tests. */
export interface TestServicesAddress {
  readonly endpoint: string
  readonly token: string
}

export interface TestServices {
  readonly address: TestServicesAddress
  stop(): Promise<void>
}

/**
 * A new folder under the system's temporary folder, marked with its owner so that it is removed later if the owner
 * is killed.
 */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), FOLDER_PREFIX))
  writeFileSync(join(folder, OWNER_FILE), JSON.stringify(identify(process.pid)))
  return folder
}

/**
 * Removes temporary folders of killed test runs; folders that are in use or not ours are kept.
 */
function sweepTemporaryFolders(): void {
  for (const name of readdirSync(tmpdir()).filter((name) => name.startsWith(FOLDER_PREFIX))) {
    const folder = join(tmpdir(), name)
    try {
      const owner = JSON.parse(readFileSync(join(folder, OWNER_FILE), 'utf8')) as ProcessIdentity
      if (!isRunning(owner)) rmSync(folder, { recursive: true, force: true })
    } catch {
      // no owner file: just created, or not ours
    }
  }
}

/** Listens for tests that need a service. A service is started at its first request. */
export async function serveTestServices(): Promise<TestServices> {
  sweepTemporaryFolders()
  const folder = temporaryFolder()
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  process.once('exit', remove) // at Ctrl-C vitest exits without calling stop
  const token = randomBytes(24).toString('hex')
  const abort = new AbortController()
  const { signal } = abort
  const started: { mariadb?: Promise<Mariadb>; embedded?: Promise<Embedded> } = {}
  const answers: Readonly<Record<string, () => Promise<object>>> = {
    '/mariadb': async () => {
      started.mariadb ??= startMariadb({ dataFolder: folder, fast: true, signal })
      const { url, adminUrl } = await started.mariadb
      return { url, adminUrl }
    },
    '/embedded': async () => {
      started.embedded ??= startEmbedded({ dataFolder: folder, keepMessages: false, signal })
      return (await started.embedded).connection
    },
  }
  const server = createServer((request, response) => {
    const [given, expected] = [
      Buffer.from(request.headers.authorization ?? ''),
      Buffer.from(`Bearer ${token}`),
    ]
    const answer = answers[request.url ?? '']
    if (given.length !== expected.length || !timingSafeEqual(given, expected) || answer === undefined) {
      response.writeHead(403).end()
      return
    }
    answer().then(
      (body) => response.end(JSON.stringify(body)),
      (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : String(error)),
    )
  }).listen(0, LOOPBACK)
  server.keepAliveTimeout = KEEP_IDLE_CONNECTIONS
  await once(server, 'listening')
  const { port } = server.address() as { readonly port: number }
  return {
    address: { endpoint: `http://${LOOPBACK}:${port}`, token },
    async stop() {
      server.close()
      server.closeAllConnections()
      abort.abort(new Error('the test run has ended'))
      const services = await Promise.allSettled([started.mariadb, started.embedded])
      await Promise.all(
        services.map((service) => (service.status === 'fulfilled' ? service.value?.stop() : undefined)),
      )
      process.off('exit', remove)
      remove()
    },
  }
}
