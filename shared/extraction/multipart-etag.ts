/**
 * The ETag of a multipart upload as a checksum. It is the MD5 of the parts' MD5s and their number, so it can
 * be verified only with the part size, which the store does not state. But S3 clients use parts of whole MiB,
 * of which few or only one match.
 */
import { createHash } from 'node:crypto'

const MIB = 1024 * 1024

/**
 * Preferred where several sizes match: those of aws-cli, the SDKs and rclone, mc and `cygnet push`, s3cmd,
 * and round numbers.
 */
const COMMON_MIB = [8, 5, 16, 15, 64, 10, 32, 50, 100, 128, 256, 512]

/**
 * The part size, in bytes, for which an object of `sizeBytes` has as many parts as its ETag states; the most
 * likely one if several match. Null when this is not the ETag of a multipart upload, or no whole number of
 * MiB matches.
 */
export function likelyPartBytes(etag: string, sizeBytes: number): number | null {
  const parts = Number(/^[0-9a-f]{32}-(\d{1,5})$/.exec(etag)?.[1] ?? 0)
  if (parts < 1 || parts > 10_000) return null
  const fits = (mib: number) => Math.ceil(sizeBytes / (mib * MIB)) === parts
  const usual = COMMON_MIB.find(fits)
  if (usual !== undefined) return usual * MIB
  const smallest = Math.ceil(sizeBytes / parts / MIB)
  return fits(smallest) ? smallest * MIB : null
}

/**
 * Computes the ETag that S3 gives to bytes uploaded in parts of `partBytes`; they may arrive in any pieces.
 */
export class MultipartEtag {
  readonly #partBytes: number
  readonly #ofParts = createHash('md5')
  #part = createHash('md5')
  #inPart = 0
  #parts = 0

  constructor(partBytes: number) {
    this.#partBytes = partBytes
  }

  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + this.#partBytes - this.#inPart)
      this.#part.update(bytes.subarray(at, end))
      this.#inPart += end - at
      if (this.#inPart === this.#partBytes) this.#endPart()
      at = end
    }
  }

  /** To be called once. */
  digest(): string {
    if (this.#inPart > 0 || this.#parts === 0) this.#endPart()
    return `${this.#ofParts.digest('hex')}-${this.#parts}`
  }

  #endPart(): void {
    this.#ofParts.update(this.#part.digest())
    this.#part = createHash('md5')
    this.#parts += 1
    this.#inPart = 0
  }
}
