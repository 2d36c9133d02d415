/**
 * A private Ceph: a RADOS gateway with one monitor and one OSD, as a real S3 store in place of the embedded one.
 * The gateway posts its events to the push endpoint of a topic. Everything listens on the loopback address only,
 * without authentication between the daemons.
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { InvalidInputError, TransientError } from '../../../shared/errors.ts'
import { installWithApt } from '../apt.ts'
import { childEnvironment } from '../environment.ts'
import { freePort, LOOPBACK } from '../ports.ts'
import { type Service, serviceFolder, startProcess } from '../process.ts'
import { findProgram } from '../programs.ts'
import { storedSecret, writePrivateFile } from '../secrets.ts'
import { createBuckets, type S3Access } from './buckets.ts'

const CEPH_PACKAGES = ['ceph-mon', 'ceph-osd', 'radosgw', 'ceph-common'] as const
const PROGRAMS = ['ceph-mon', 'ceph-osd', 'radosgw', 'ceph', 'radosgw-admin', 'monmaptool'] as const
type Program = (typeof PROGRAMS)[number]
/** Largest size of all objects together; the file is sparse. */
const CAPACITY_BYTES = 64 * 1024 ** 3
const OSD_MEMORY_BYTES = 1024 ** 3
const USER = 'cygnet'
const GATEWAY = 'client.rgw.a'
/** Of Ceph: the zonegroup of a new installation. */
const REGION = 'default'
const COMMAND_TIMEOUT_MS = 120_000

/** The programs of Ceph that are missing on this machine. */
export async function missingCeph(): Promise<readonly Program[]> {
  const found = await Promise.all(PROGRAMS.map((name) => findProgram(name)))
  return PROGRAMS.filter((_, index) => found[index] === null)
}

/** Installs Ceph if it is missing. @throws as `installWithApt`. */
export async function ensureCeph(
  options: {
    readonly signal?: AbortSignal | undefined
    readonly onProgress?: ((line: string) => void) | undefined
  } = {},
): Promise<void> {
  if ((await missingCeph()).length > 0)
    await installWithApt({ ...options, packages: CEPH_PACKAGES, reason: 'Ceph' })
}

export interface CephOptions {
  /** The folder of all services, normally `.cygnet`; objects in it are used again. */
  readonly dataFolder: string
  readonly buckets?: readonly string[]
  /** Port of the gateway on 127.0.0.1; default: a free one. */
  readonly port?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Ceph extends Service {
  readonly s3: S3Access
  /** Runs `radosgw-admin` with these arguments. Returns what it prints. */
  admin(...args: readonly string[]): Promise<string>
}

/**
 * Starts the daemons, and creates a user and the buckets: about 15 s the first time. When one of the daemons ends,
 * the others are stopped and the service has ended.
 * @throws InvalidInputError when Ceph is not installed.
 * @throws TransientError when a daemon does not start; the message has the end of its log.
 */
export async function startCeph(options: CephOptions): Promise<Ceph> {
  const missing = await missingCeph()
  if (missing.length > 0)
    throw new InvalidInputError(
      `Ceph is not installed (no ${missing.join(', ')}); type: apt-get install -y ${CEPH_PACKAGES.join(' ')} (or: npm run setup -- --with ceph)`,
    )
  const { signal } = options
  const dataFolder = resolve(options.dataFolder)
  const folder = serviceFolder(dataFolder, 'ceph')
  const ports: Ports = {
    gateway: options.port ?? (await freePort()),
    monitor: await freePort(),
    osd: [await freePort(), await freePort(), await freePort(), await freePort()],
  }
  const cluster = storedText(join(folder, 'cluster'), randomUUID())
  const settings = join(folder, 'ceph.conf')
  writePrivateFile(settings, clusterSettings(folder, cluster, ports))
  const run: Run = async (program, ...args) => await runProgram(program, ['-c', settings, ...args], signal)

  const daemons: Service[] = []
  const stop = async () => {
    for (const daemon of daemons.toReversed()) await daemon.stop()
  }
  const startDaemon = async (
    name: string,
    program: Program,
    args: readonly string[],
    probe: (signal: AbortSignal) => Promise<unknown>,
  ) => {
    // A gateway that shuts down waits for the others; when this process dies, they all do at once.
    const found = { program: await pathOf(program), args: ['-f', '-c', settings, ...args] }
    const started = { name, dataFolder, ...found, deathSignal: 'KILL', probe, signal } as const
    daemons.push(await startProcess(started))
  }
  try {
    await makeMonitor(folder, cluster, ports.monitor, run)
    await startDaemon('ceph-mon', 'ceph-mon', ['-i', 'a'], () => run('ceph', '--connect-timeout', '5', '-s'))
    await makeOsd(folder, run)
    await startDaemon('ceph-osd', 'ceph-osd', ['-i', '0'], async () =>
      (await run('ceph', 'osd', 'stat')).includes(' 1 up'),
    )
    const endpoint = `http://${LOOPBACK}:${ports.gateway}`
    await startDaemon('ceph', 'radosgw', ['-n', GATEWAY], (signal) => fetch(endpoint, { signal }))
    const s3 = {
      endpoint,
      region: REGION,
      accessKeyId: storedSecret(join(folder, 'access-key'), 20),
      secretAccessKey: storedSecret(join(folder, 'secret-key'), 40),
    }
    const admin = (...args: readonly string[]) => run('radosgw-admin', '-n', GATEWAY, ...args)
    if (!(await admin('user', 'list')).includes(`"${USER}"`))
      await admin(
        ...['user', 'create', `--uid=${USER}`, `--display-name=${USER}`],
        ...[`--access-key=${s3.accessKeyId}`, `--secret-key=${s3.secretAccessKey}`],
      )
    await createBuckets(s3, options.buckets ?? [], signal)
    const first = Promise.race(daemons.map(async ({ name, ended }) => `${name}: ${await ended}`))
    const ended = first.then(async (how) => {
      await stop()
      return how
    })
    return { ...(daemons.at(-1) as Service), s3, admin, ended, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

interface Ports {
  readonly gateway: number
  readonly monitor: number
  /** For clients, for other OSDs, and two for heartbeats. */
  readonly osd: readonly number[]
}

/** One copy of everything, no passwords between the daemons, nothing outside of the folder. */
function clusterSettings(folder: string, cluster: string, ports: Ports): string {
  return [
    '[global]',
    `fsid = ${cluster}`,
    ...['cluster', 'service', 'client'].map((side) => `auth_${side}_required = none`),
    `mon_host = [v2:${LOOPBACK}:${ports.monitor}]`,
    `public_addr = ${LOOPBACK}`,
    `cluster_addr = ${LOOPBACK}`,
    'ms_bind_msgr1 = false',
    `ms_bind_port_min = ${Math.min(...ports.osd)}`,
    `ms_bind_port_max = ${Math.max(...ports.osd)}`,
    `run_dir = ${folder}`,
    // The path of a socket has at most 107 bytes.
    'admin_socket =',
    'pid_file =',
    'log_file =',
    'log_to_stderr = true',
    'mon_cluster_log_to_file = false',
    'osd_pool_default_size = 1',
    'osd_pool_default_min_size = 1',
    'osd_pool_default_pg_num = 8',
    'osd_pool_default_pg_autoscale_mode = off',
    'mon_allow_pool_size_one = true',
    'mon_warn_on_pool_no_redundancy = false',
    'mon_max_pg_per_osd = 2000',
    'osd_crush_chooseleaf_type = 0',
    `mon_data = ${join(folder, 'mon')}`,
    'mon_data_avail_crit = 1',
    'mon_data_avail_warn = 2',
    `osd_data = ${join(folder, 'osd')}`,
    'osd_objectstore = bluestore',
    `bluestore_block_size = ${CAPACITY_BYTES}`,
    `osd_memory_target = ${OSD_MEMORY_BYTES}`,
    `[${GATEWAY}]`,
    `rgw_frontends = beast endpoint=${LOOPBACK}:${ports.gateway}`,
    `rgw_data = ${join(folder, 'rgw')}`,
    `rgw_dns_name = ${LOOPBACK}`,
    'rgw_enable_apis = s3, sts, iam, notifications, admin',
    // Otherwise the gateway waits for the monitor for ever.
    'ms_mon_client_mode = crc',
    '',
  ].join('\n')
}

type Run = (program: Program, ...args: readonly string[]) => Promise<string>

/** Makes the monitor's data, once. Its address is written at each start, since the port may be another. */
async function makeMonitor(folder: string, cluster: string, port: number, run: Run): Promise<void> {
  const [data, map] = [join(folder, 'mon'), join(folder, 'monmap')]
  rmSync(map, { force: true })
  const address = `[v2:${LOOPBACK}:${port}]`
  await run('monmaptool', '--create', '--addv', 'a', address, '--fsid', cluster, map)
  await once(data, async () => {
    await run('ceph-mon', '-i', 'a', '--mkfs', '--monmap', map)
  })
  await run('ceph-mon', '-i', 'a', '--inject-monmap', map)
}

/** Registers the OSD and makes its data, once. */
async function makeOsd(folder: string, run: Run): Promise<void> {
  await once(join(folder, 'osd'), async () => {
    const id = randomUUID()
    await run('ceph', 'osd', 'new', id, '0')
    await run('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', id)
    await run('ceph', 'osd', 'crush', 'add', 'osd.0', '1.0', 'root=default', 'host=localhost')
  })
}

/** Fills a folder, unless it was filled before. One that was left in the middle is filled again. */
async function once(data: string, fill: () => Promise<void>): Promise<void> {
  const filled = `${data}.filled`
  if (existsSync(filled)) return
  rmSync(data, { recursive: true, force: true })
  mkdirSync(data, { mode: 0o700 })
  await fill()
  writePrivateFile(filled, '')
}

/** The text in a file; written at the first call. */
function storedText(path: string, text: string): string {
  if (!existsSync(path)) writePrivateFile(path, text)
  return readFileSync(path, 'utf8')
}

async function pathOf(program: Program): Promise<string> {
  const path = await findProgram(program)
  if (path === null) throw new InvalidInputError(`there is no ${program} on this machine`)
  return path
}

/** @returns what the program prints. @throws TransientError when it fails. */
async function runProgram(
  program: Program,
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(await pathOf(program), [...args], {
      env: childEnvironment(),
      timeout: COMMAND_TIMEOUT_MS,
      ...(signal && { signal }),
    })
    return `${stdout}${stderr}`
  } catch (cause) {
    signal?.throwIfAborted()
    const { stderr = '', message } = cause as { readonly stderr?: string; readonly message: string }
    throw new TransientError(`${program} failed: ${stderr.trim().slice(-1000) || message}`, {}, { cause })
  }
}
