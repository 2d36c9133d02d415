/**
 * A private certificate authority and a host certificate for the loopback address, made with the openssl program.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { copyFile, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { InvalidInputError, TransientError } from '../../../../shared/errors.ts'
import { childEnvironment } from '../../environment.ts'
import { findProgram } from '../../programs.ts'

export interface Certificates {
  /** PEM file of the authority. */
  readonly caFile: string
  /** A folder with the certificate under the hash of its name, as grid programs need it. */
  readonly caFolder: string
}

const VALID_DAYS = '3650'

/**
 * Makes the authority in `folder` once, and a new certificate and key of the host in `hostFolder`
 * (`certificate.pem`, `key.pem`) at each call: this takes a tenth of a second, and names may have changed.
 * @throws InvalidInputError when there is no openssl, TransientError when it fails.
 */
export async function makeCertificates(
  folder: string,
  hostFolder: string,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Certificates> {
  const program = await findProgram('openssl')
  if (program === null)
    throw new InvalidInputError('openssl is not installed; type: apt-get install -y openssl')
  const openssl = (...args: string[]) => run(program, args, signal)
  const [authority, caFolder] = [join(folder, 'authority'), join(folder, 'served', 'authorities')]
  const [caFile, caKey] = [join(authority, 'ca.pem'), join(authority, 'ca-key.pem')]
  const newKey = ['-newkey', 'rsa:2048', '-nodes', '-keyout']
  if (!existsSync(authority)) {
    const partial = `${authority}.part`
    rmSync(partial, { recursive: true, force: true })
    mkdirSync(partial, { mode: 0o700 })
    const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'].flatMap(
      (text) => ['-addext', text],
    )
    const subject = ['-subj', '/CN=Cygnet development authority', '-days', VALID_DAYS]
    await openssl(
      'req',
      '-x509',
      ...newKey,
      join(partial, 'ca-key.pem'),
      '-out',
      join(partial, 'ca.pem'),
      ...subject,
      ...extensions,
    )
    renameSync(partial, authority)
  }
  mkdirSync(hostFolder, { recursive: true, mode: 0o700 })
  const [certificateRequest, extensions] = [join(hostFolder, 'request.pem'), join(hostFolder, 'extensions')]
  await openssl(
    'req',
    ...newKey,
    join(hostFolder, 'key.pem'),
    '-out',
    certificateRequest,
    '-subj',
    `/CN=${names[0]}`,
  )
  const alternatives = names.map((name) => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`).join(',')
  await writeFile(extensions, `subjectAltName=${alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n`)
  const signed = [
    '-CA',
    caFile,
    '-CAkey',
    caKey,
    '-CAcreateserial',
    '-days',
    VALID_DAYS,
    '-extfile',
    extensions,
  ]
  await openssl(
    'x509',
    '-req',
    '-in',
    certificateRequest,
    '-out',
    join(hostFolder, 'certificate.pem'),
    ...signed,
  )
  mkdirSync(caFolder, { recursive: true, mode: 0o755 })
  await copyFile(caFile, join(caFolder, 'ca.pem'))
  await openssl('rehash', caFolder)
  return { caFile, caFolder }
}

async function run(program: string, args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  try {
    await promisify(execFile)(program, [...args], { env: childEnvironment(), ...(signal && { signal }) })
  } catch (cause) {
    signal?.throwIfAborted()
    const { stderr = '' } = cause as { readonly stderr?: string }
    throw new TransientError(`openssl ${args[0]} failed: ${stderr.trim().slice(-500)}`, {}, { cause })
  }
}
