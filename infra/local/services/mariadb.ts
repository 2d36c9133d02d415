/**
 * A private MariaDB for development and tests: the machine's `mariadbd` program with its own data folder, port and
 * accounts. A MariaDB that runs as a service of the system is never touched.
 *
 * Passwords are random, stored in files of mode 0600, and given to the server in an init file: never as arguments,
 * which any user can read in the process list. The init file runs at every start, before the server listens, so
 * that the accounts are correct also after an interrupted start.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { createConnection } from 'mysql2/promise'
import { InvalidInputError, TransientError } from '../../../shared/errors.ts'
import { childEnvironment } from '../environment.ts'
import { freePort, LOOPBACK } from '../ports.ts'
import { type Service, serviceFolder, startProcess } from '../process.ts'
import { findProgram } from '../programs.ts'
import { storedSecret, writePrivateFile } from '../secrets.ts'

const DATABASE = 'cygnet'
const USER = 'cygnet'
const ADMIN = 'cygnet_admin'
const ATTEMPTS_TO_FIND_A_PORT = 3

export interface MariadbOptions {
  /**
   * The folder of all services, normally `.cygnet`; an existing database in it is used again.
   */
  readonly dataFolder: string
  /** Port on 127.0.0.1; default: a free one. */
  readonly port?: number | undefined
  /** For tests: do not flush to disk at each commit. Survives a kill of the server, not of the machine. */
  readonly fast?: boolean
  readonly signal?: AbortSignal | undefined
}

export interface Mariadb extends Service {
  readonly port: number
  /**
   * `mysql://cygnet:<password>@127.0.0.1:<port>/cygnet`: an account with all rights on databases whose names begin
   * with `cygnet`.
   */
  readonly url: string
  /** An account with all rights, for the work of an operator (kill connections, read the status). */
  readonly adminUrl: string
}

/**
 * Starts the database and waits until it answers: about 1.5 s the first time, 0.4 s afterwards.
 * @throws InvalidInputError when MariaDB is not installed or the folder is in use.
 * @throws TransientError when it does not start; the message has the end of its log.
 */
export async function startMariadb(options: MariadbOptions): Promise<Mariadb> {
  const [server, installer] = [await findProgram('mariadbd'), await findProgram('mariadb-install-db')]
  if (server === null || installer === null)
    throw new InvalidInputError(
      'MariaDB is not installed; type: apt-get install -y mariadb-server-core mariadb-client-core (or: npm run setup)',
    )
  const dataFolder = resolve(options.dataFolder)
  const folder = serviceFolder(dataFolder, 'mariadb')
  // A starting server removes the temporary tables in its folder. In a shared folder these could be those of a
  // running installation.
  mkdirSync(temporaryOf(folder), { recursive: true, mode: 0o700 })
  await installOnce(installer, folder, options.signal)
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort())
    try {
      return await startOn({ ...options, dataFolder, port, server, folder })
    } catch (error) {
      // Another process may have taken the port since it was found to be free.
      const portTaken = error instanceof TransientError && error.message.includes('Address already in use')
      if (!portTaken || options.port !== undefined || attempt === ATTEMPTS_TO_FIND_A_PORT) throw error
    }
  }
}

const temporaryOf = (folder: string) => join(folder, 'tmp')

async function startOn(
  options: MariadbOptions & { readonly port: number; readonly server: string; readonly folder: string },
): Promise<Mariadb> {
  const { folder, port } = options
  const password = storedSecret(join(folder, 'password'))
  const adminPassword = storedSecret(join(folder, 'admin-password'))
  const settings = join(folder, 'my.cnf')
  writePrivateFile(join(folder, 'init.sql'), accounts({ password, adminPassword }))
  writePrivateFile(settings, serverSettings({ folder, port, fast: options.fast ?? false }))
  const address = (user: string, secret: string) =>
    `mysql://${user}:${secret}@${LOOPBACK}:${port}/${DATABASE}`
  const url = address(USER, password)
  const service = await startProcess({
    name: 'mariadb',
    dataFolder: options.dataFolder,
    program: options.server,
    args: [`--defaults-file=${settings}`],
    probe: () => answers(url),
    signal: options.signal,
  })
  return { ...service, port, url, adminUrl: address(ADMIN, adminPassword) }
}

/** Creates the system tables, once. The folder gets its name when it is complete. */
async function installOnce(
  installer: string,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const data = join(folder, 'data')
  if (existsSync(data)) return
  const partial = join(folder, 'data.part')
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial, { mode: 0o700 })
  // As root without --user=root, with which it would run chown on a folder whose name it does not quote.
  const args = [
    '--no-defaults',
    `--datadir=${partial}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
  ]
  try {
    await promisify(execFile)(installer, args, {
      env: childEnvironment({ TMPDIR: temporaryOf(folder) }),
      cwd: folder,
      ...(signal && { signal }),
    })
  } catch (cause) {
    signal?.throwIfAborted()
    const { stdout = '', stderr = '' } = cause as { readonly stdout?: string; readonly stderr?: string }
    throw new TransientError(
      `mariadb-install-db failed: ${`${stdout}${stderr}`.trim().slice(-1500)}`,
      {},
      { cause },
    )
  }
  renameSync(partial, data)
}

/** mariadbd runs as root only with this option. */
function asRoot<T>(...items: T[]): T[] {
  return process.getuid?.() === 0 ? items : []
}

/**
 * The init file: one statement a line. Accounts without a password (from the installation) are removed.
 */
function accounts(options: { readonly password: string; readonly adminPassword: string }): string {
  const account = (user: string, secret: string, grants: string) => [
    `CREATE USER IF NOT EXISTS '${user}'@'${LOOPBACK}';`,
    `ALTER USER '${user}'@'${LOOPBACK}' IDENTIFIED BY '${secret}';`,
    `GRANT ${grants} TO '${user}'@'${LOOPBACK}';`,
  ]
  return [
    `CREATE DATABASE IF NOT EXISTS ${DATABASE} CHARACTER SET utf8mb4;`,
    ...account(USER, options.password, `ALL ON \`${DATABASE}%\`.*`),
    ...account(ADMIN, options.adminPassword, 'ALL ON *.*'),
    `DELETE FROM mysql.global_priv WHERE User = '' OR User = 'root';`,
    'FLUSH PRIVILEGES;',
    '',
  ].join('\n')
}

/**
 * Small and durable: a commit is on disk when it is answered, unless `fast`. No socket file: its path is limited
 * to 107 bytes, and it is not needed. Host names are not resolved, so an account is for 127.0.0.1 as written.
 * Temporary tables have a private folder, since a starting server removes all that it finds.
 */
function serverSettings(options: {
  readonly folder: string
  readonly port: number
  readonly fast: boolean
}): string {
  const durability = options.fast
    ? [
        'innodb_flush_log_at_trx_commit = 2',
        'innodb_doublewrite = 0',
        'innodb_flush_method = nosync',
        'innodb_fast_shutdown = 2',
      ]
    : ['innodb_flush_log_at_trx_commit = 1']
  return [
    '[mariadbd]',
    ...asRoot('user = root'),
    `datadir = "${join(options.folder, 'data')}"`,
    `init_file = "${join(options.folder, 'init.sql')}"`,
    `pid_file = "${join(options.folder, 'mariadbd.pid')}"`,
    `tmpdir = "${temporaryOf(options.folder)}"`,
    `bind_address = ${LOOPBACK}`,
    `port = ${options.port}`,
    'socket = ""',
    'skip_name_resolve',
    'character_set_server = utf8mb4',
    'default_time_zone = "+00:00"',
    'max_connections = 200',
    'max_allowed_packet = 64M',
    'innodb_buffer_pool_size = 64M',
    'innodb_log_file_size = 32M',
    ...durability,
    '',
  ].join('\n')
}

async function answers(url: string): Promise<void> {
  const connection = await createConnection({ uri: url, connectTimeout: 2000 })
  try {
    await connection.query('SELECT 1')
  } finally {
    connection.destroy()
  }
}
