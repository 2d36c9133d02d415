/**
 * A tape endpoint in memory in place of a webdav driver: a map of files, and whether they are on the medium.
 */
import { createHash } from 'node:crypto'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import { createChecksums } from '../../shared/extraction/checksums.ts'
import type { TapeCheck, TapeDriver } from '../../shared/tape/driver.ts'
import { checkedName, encodedName } from '../../shared/tape/names.ts'

export interface MemoryEndpoint extends TapeDriver {
  readonly files: Map<string, Uint8Array>
  /** Whether files count as on the medium. */
  onMedia: boolean
  /** All requests fail while it is down. */
  down: boolean
  /** Released files, each with the reference of the request. */
  readonly released: string[]
  /** The name under an address of this endpoint; null for others. */
  nameOf(url: string): string | null
}

export async function adler32Hex(bytes: Uint8Array): Promise<string> {
  const checksums = createChecksums()
  checksums.update(bytes)
  return (await checksums.digest()).adler32
}

export function memoryEndpoint(root = 'davs://tape.example.org:8443/cygno/'): MemoryEndpoint {
  const files = new Map<string, Uint8Array>()
  let requests = 0
  const up = () => {
    if (endpoint.down) throw new TransientError('the endpoint is down')
  }
  const endpoint: MemoryEndpoint = {
    kind: 'webdav',
    endpoint: root,
    files,
    onMedia: true,
    down: false,
    released: [],
    url: (name) => `${root}${encodedName(checkedName(name))}`,
    nameOf: (url) =>
      url.startsWith(root) ? url.slice(root.length).split('/').map(decodeURIComponent).join('/') : null,
    copy: () => Promise.reject(new Error('copies go through the service')),
    async check(file, { readBack }): Promise<TapeCheck> {
      up()
      const bytes = files.get(checkedName(file.name))
      if (bytes === undefined) return { kind: 'absent' }
      if (bytes.length !== file.sizeBytes)
        return { kind: 'different', evidence: 'existence', reason: `it has ${bytes.length} bytes` }
      const same =
        readBack === 'always'
          ? createHash('sha256').update(bytes).digest('hex') === file.sha256
          : (await adler32Hex(bytes)) === file.adler32
      const evidence = readBack === 'always' ? 'read' : 'stored-checksum'
      return same
        ? { kind: 'present', verifiedBy: 'adler32 of the endpoint', evidence, onMedia: endpoint.onMedia }
        : { kind: 'different', evidence, reason: 'it has another checksum' }
    },
    async stage(file, { reference }) {
      up()
      if (!files.has(checkedName(file.name))) throw new InvalidInputError(`${file.name} is not there`)
      return { kind: 'online', reference }
    },
    async stageAll(wanted, _limits, signal) {
      up()
      signal.throwIfAborted()
      const requested = wanted.filter(({ name }) => files.has(checkedName(name)))
      if (requested.length === 0) return null
      const leftOut = wanted.filter((file) => !requested.includes(file))
      return { reference: `request-${++requests}`, files: requested, leftOut }
    },
    async release(file, reference) {
      up()
      endpoint.released.push(`${checkedName(file.name)} ${reference}`)
    },
    async *read(file) {
      up()
      const bytes = files.get(checkedName(file.name))
      if (bytes === undefined || bytes.length !== file.sizeBytes)
        throw new TransientError(`${file.name} is not there as a whole`)
      yield bytes
    },
    async *list(prefix) {
      up()
      for (const [name, bytes] of files) if (name.startsWith(prefix)) yield { name, sizeBytes: bytes.length }
    },
    close: async () => {},
  }
  return endpoint
}
