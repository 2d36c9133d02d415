/**
 * A private XRootD server: a real grid storage endpoint for second copies. HTTP with WebDAV over TLS (with a
 * private certificate authority), checksums, third-party copy, and bearer tokens of a private issuer, checked
 * offline.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, globSync, lchownSync, lstatSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { InvalidInputError } from '../../../../shared/errors.ts'
import { installWithApt } from '../../apt.ts'
import { childEnvironment } from '../../environment.ts'
import { freePort, LOOPBACK } from '../../ports.ts'
import { type Service, serviceFolder, startProcess } from '../../process.ts'
import { findProgram } from '../../programs.ts'
import { writePrivateFile } from '../../secrets.ts'
import { makeCertificates } from './certificates.ts'
import { type Issuer, openIssuer } from './issuer.ts'

/**
 * The server with its plug-ins for HTTP, third-party copy and tokens, and the grid client gfal2-util.
 */
const XROOTD_PACKAGES = [
  'xrootd-server',
  'xrootd-server-plugins',
  'xrootd-plugins',
  'xrootd-client',
  'xrootd-scitokens-plugins',
  'gfal2-util-scripts',
  'python3-gfal2-util',
  'gfal2-plugin-http',
  'gfal2-plugin-file',
] as const

const PROGRAMS = ['xrootd', 'gfal-sum', 'openssl'] as const
const PLUGINS = ['libXrdHttpTPC-5.so', 'libXrdAccSciTokens-5.so'] as const
/** xrootd does not run as root; its package creates this user. */
const USER = 'xrootd'

/** The programs and plug-ins of XRootD and its client that are missing on this machine. */
export async function missingXrootd(): Promise<readonly string[]> {
  const programs = await Promise.all(
    PROGRAMS.map(async (name) => ((await findProgram(name)) === null ? [name] : [])),
  )
  const plugins = PLUGINS.filter((name) => globSync(`/usr/{lib,lib64}/{${name},*/${name}}`).length === 0)
  return [...programs.flat(), ...plugins]
}

/** Installs XRootD if it is missing. @throws as `installWithApt`. */
export async function ensureXrootd(
  options: {
    readonly signal?: AbortSignal | undefined
    readonly onProgress?: ((line: string) => void) | undefined
  } = {},
): Promise<void> {
  if ((await missingXrootd()).length > 0)
    await installWithApt({
      ...options,
      packages: [...XROOTD_PACKAGES, 'openssl'],
      reason: 'XRootD and its client gfal2',
    })
}

export interface XrootdOptions {
  /** The folder of all services, normally `.cygnet`; files in it are used again. */
  readonly dataFolder: string
  /** Port on 127.0.0.1; default: a free one. */
  readonly port?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Xrootd extends Service {
  /** `davs://127.0.0.1:<port>/cygno/`: value for CYGNET_TAPE_URL. */
  readonly url: string
  /** PEM file of the certificate authority: value for CYGNET_TAPE_CA_FILE. */
  readonly caFile: string
  /** Folder with the certificate by its hash, for gfal2: value for X509_CERT_DIR. */
  readonly caFolder: string
  /** The folder that is `/` at the endpoint, where tests create and check files. */
  readonly filesFolder: string
  /**
   * A bearer token (WLCG profile) with the right to read, write and delete everywhere below `/`; default lifetime:
   * a day.
   */
  token(lifetimeSeconds?: number): string
}

/**
 * Starts XRootD and waits until it answers: about 0.5 s.
 * @throws InvalidInputError when it is not installed, or when this process is root and the user of XRootD cannot
 * reach the folder.
 * @throws TransientError when it does not start; the message has the end of its log.
 */
export async function startXrootd(options: XrootdOptions): Promise<Xrootd> {
  const program = await findProgram('xrootd')
  const missing = await missingXrootd()
  if (program === null || missing.length > 0)
    throw new InvalidInputError(
      `XRootD is not installed (no ${missing.join(', ')}); type: apt-get install -y ${XROOTD_PACKAGES.join(' ')} (or: npm run setup -- --with xrootd)`,
    )
  const dataFolder = resolve(options.dataFolder)
  const folder = serviceFolder(dataFolder, 'xrootd')
  const port = options.port ?? (await freePort())
  // The name of the issuer does not depend on the port, so that earlier tokens remain valid.
  const issuer = openIssuer(join(folder, 'issuer-key.pem'))
  const served = join(folder, 'served')
  rmSync(join(served, 'admin'), { recursive: true, force: true }) // sockets and links of an earlier start
  for (const name of ['files/cygno', 'admin', 'cache'])
    mkdirSync(join(served, name), { recursive: true, mode: 0o700 })
  const certificates = await makeCertificates(
    folder,
    join(served, 'host'),
    [LOOPBACK, 'localhost', hostname()],
    options.signal,
  )
  await issuer.writeKeyCache(join(served, 'cache'))
  writePrivateFile(join(served, 'scitokens.cfg'), issuerSettings(issuer))
  writePrivateFile(
    join(served, 'xrootd.cfg'),
    serverSettings({ folder: served, caFolder: certificates.caFolder, port }),
  )
  const asRoot = process.getuid?.() === 0
  if (asRoot) giveToUser(served)
  const url = `https://${LOOPBACK}:${port}/cygno/`
  const ca = await readFile(certificates.caFile)
  const service = await startProcess({
    name: 'xrootd',
    dataFolder,
    program,
    args: ['-I', 'v4', '-c', join(served, 'xrootd.cfg'), ...(asRoot ? ['-R', USER] : [])],
    environment: { HOME: served, XDG_CACHE_HOME: join(served, 'cache') },
    probe: (signal) => answers(url, ca, issuer.token(60), signal),
    signal: options.signal,
  })
  return {
    ...service,
    url: url.replace('https:', 'davs:'),
    caFile: certificates.caFile,
    caFolder: certificates.caFolder,
    filesFolder: join(served, 'files'),
    token: (lifetimeSeconds = 86_400) => issuer.token(lifetimeSeconds),
  }
}

/** XRootD has no setting to listen only on the loopback address, so all other hosts are refused. */
function serverSettings(options: {
  readonly folder: string
  readonly caFolder: string
  readonly port: number
}): string {
  const { folder } = options
  return [
    `xrd.port ${options.port}`,
    'xrd.network nodnr norpipa',
    `xrd.allow host ${LOOPBACK}`,
    'xrd.allow host localhost',
    `all.adminpath ${join(folder, 'admin')}`,
    `all.pidpath ${join(folder, 'admin')}`,
    `oss.localroot ${join(folder, 'files')}`,
    'all.export / nolock r/w',
    'xrootd.chksum max 2 chkcgi adler32 md5 crc32c',
    `xrd.tls ${join(folder, 'host', 'certificate.pem')} ${join(folder, 'host', 'key.pem')}`,
    `xrd.tlsca certdir ${options.caFolder}`,
    'xrd.protocol http libXrdHttp.so',
    'http.exthandler xrdtpc libXrdHttpTPC.so',
    'http.header2cgi Authorization authz',
    'ofs.authorize',
    `ofs.authlib libXrdAccSciTokens.so config=${join(folder, 'scitokens.cfg')}`,
    '',
  ].join('\n')
}

const issuerSettings = (issuer: Issuer) =>
  [
    '[Global]',
    `audience = ${issuer.audience}`,
    '',
    '[Issuer Cygnet]',
    `issuer = ${issuer.name}`,
    'base_path = /',
    '',
  ].join('\n')

/**
 * Started as root, xrootd changes to its own user. That user becomes the owner of the served files, and gets the
 * right to pass through the folders above, which remain closed otherwise.
 * @throws InvalidInputError when it cannot pass through a folder outside of the data folder, whose rights are not
 * changed.
 */
function giveToUser(served: string): void {
  const { uid, gid } = userOf(USER)
  const give = (path: string): void => {
    lchownSync(path, uid, gid)
    if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) give(join(path, name))
  }
  give(served)
  const [serviceOwn, dataOwn] = [dirname(served), dirname(dirname(served))]
  for (const folder of [serviceOwn, dataOwn]) chmodSync(folder, (statSync(folder).mode & 0o777) | 0o011)
  for (let folder = dirname(dataOwn); folder !== dirname(folder); folder = dirname(folder))
    if ((statSync(folder).mode & 0o001) === 0)
      throw new InvalidInputError(
        `XRootD does not run as root, and its user ${USER} cannot pass through ${folder}: use another data folder (CYGNET_FOLDER)`,
      )
}

function userOf(name: string): { readonly uid: number; readonly gid: number } {
  const idOf = (flag: string) =>
    Number(execFileSync('id', [flag, name], { env: childEnvironment(), encoding: 'utf8' }))
  try {
    return { uid: idOf('-u'), gid: idOf('-g') }
  } catch (cause) {
    throw new InvalidInputError(
      `the user ${name} is missing on this machine; the package xrootd-server creates it`,
      {},
      { cause },
    )
  }
}

/** True when the endpoint answers a request that needs a token, also when the folder does not exist. */
async function answers(url: string, ca: Buffer, token: string, signal: AbortSignal): Promise<boolean> {
  const status = await new Promise<number>((done, fail) => {
    const probe = request(url, {
      method: 'HEAD',
      ca,
      agent: false,
      signal,
      headers: { Authorization: `Bearer ${token}` },
    })
    probe.once('response', (response) => done(response.resume().statusCode ?? 0)).once('error', fail)
    probe.end()
  })
  return status === 200 || status === 404
}
