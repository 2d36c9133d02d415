/** Files as the catalogue describes them to a driver. */
import { createHash, randomBytes } from 'node:crypto'
import { createChecksums } from '../../../shared/extraction/checksums.ts'
import type { TapeFile } from '../../../shared/tape/driver.ts'

/** A name in a new folder. */
export const freshName = (file = 'run12345.mid.gz') =>
  `cygno-data/LNGS/${randomBytes(6).toString('hex')}/${file}`

/** A file with a new name, as the catalogue would describe it. */
export async function tapeFileOf(bytes: Uint8Array, name = freshName()): Promise<TapeFile> {
  const checksums = createChecksums()
  checksums.update(bytes)
  const { md5, sha256, adler32 } = await checksums.digest()
  return { name, sizeBytes: bytes.length, adler32, md5, sha256, tag: 'LNGS', runNumber: 12345 }
}

/** The hash of a large buffer, so that a difference takes one line of the report. */
export const fingerprint = (bytes: Uint8Array | null) =>
  bytes === null ? null : createHash('sha256').update(bytes).digest('hex')
