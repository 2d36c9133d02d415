/**
 * Multipart uploads of the embedded S3, stored on disk so that an upload can continue after a restart. The
 * completion checks the parts, their sizes and their order like S3, and the ETag is that of S3: md5 of the parts'
 * md5s, `-`, their number.
 */
import { createHash, randomBytes } from 'node:crypto'
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import S3Error from '@20minutes/s3rver/lib/models/error.js'
import S3Object from '@20minutes/s3rver/lib/models/object.js'
import { writeContent } from './content.ts'
import { checkKey } from './keys.ts'
import { clientMetadata, EmbeddedStore } from './store.ts'

/** Smallest size of every part except the last, bytes ("Amazon S3 multipart upload limits"). */
const SMALLEST_PART_BYTES = 5 * 1024 * 1024
const MOST_PARTS = 10_000

export interface Upload {
  readonly uploadId: string
  readonly bucket: string
  readonly key: string
  readonly initiated: string
  readonly metadata: Readonly<Record<string, string>>
}

export interface Part {
  readonly number: number
  readonly md5: string
  readonly sizeBytes: number
  readonly lastModified: string
  readonly path: string
}

/** The store for s3rver: objects and unfinished uploads. */
export class MultipartStore extends EmbeddedStore {
  #folder(uploadId: string): string {
    return join(this.rootDirectory, '.uploads', uploadId)
  }

  async initiateUpload(
    bucket: string,
    key: string,
    uploadId: string,
    headers: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    checkKey(key)
    const { metadata } = new S3Object(bucket, key, null, headers)
    const upload: Upload = {
      uploadId,
      bucket,
      key,
      initiated: new Date().toISOString(),
      metadata: clientMetadata(metadata),
    }
    const partial = `${this.#folder(uploadId)}.part`
    mkdirSync(partial, { recursive: true })
    writeFileSync(join(partial, 'upload.json'), JSON.stringify(upload))
    renameSync(partial, this.#folder(uploadId))
  }

  /** @throws S3Error NoSuchUpload, also when the id belongs to another bucket or key. */
  upload(bucket: string, uploadId: string, key?: string): Upload {
    const file = join(this.#folder(uploadId), 'upload.json')
    const upload =
      /^[0-9a-f]{32}$/.test(uploadId) && existsSync(file)
        ? (JSON.parse(readFileSync(file, 'utf8')) as Upload)
        : null
    if (upload === null || upload.bucket !== bucket || (key !== undefined && upload.key !== key))
      throw new S3Error(
        'NoSuchUpload',
        'The specified upload does not exist. The upload ID may be invalid, or it may have been aborted or completed.',
      )
    return upload
  }

  uploads(bucket: string): readonly Upload[] {
    const folder = this.#folder('')
    const ids = existsSync(folder) ? readdirSync(folder).filter((name) => /^[0-9a-f]{32}$/.test(name)) : []
    return ids
      .map((id) => JSON.parse(readFileSync(join(folder, id, 'upload.json'), 'utf8')) as Upload)
      .filter((upload) => upload.bucket === bucket)
  }

  /** The parts received so far, by number. The file of a part is `<number>-<md5>`. */
  parts(uploadId: string): readonly Part[] {
    const folder = this.#folder(uploadId)
    const parts = readdirSync(folder).flatMap((name) => {
      const [, number, md5] = /^(\d+)-([0-9a-f]{32})$/.exec(name) ?? []
      if (number === undefined || md5 === undefined) return []
      const path = join(folder, name)
      const { size, mtime } = statSync(path)
      return [{ number: Number(number), md5, sizeBytes: size, lastModified: mtime.toISOString(), path }]
    })
    return parts.sort((a, b) => a.number - b.number)
  }

  async putPart(
    bucket: string,
    uploadId: string,
    partNumber: string,
    content: Readable,
  ): Promise<{ readonly size: number; readonly md5: string }> {
    this.upload(bucket, uploadId)
    const number = Number(partNumber)
    if (!Number.isInteger(number) || number < 1 || number > MOST_PARTS)
      throw new S3Error(
        'InvalidArgument',
        `Part number must be an integer between 1 and ${MOST_PARTS}, inclusive`,
        {
          ArgumentName: 'partNumber',
        },
      )
    const partial = join(this.#folder(uploadId), `${number}.${randomBytes(6).toString('hex')}.part`)
    const { sizeBytes: size, md5: digest } = await writeContent(partial, content)
    for (const old of this.parts(uploadId).filter((part) => part.number === number))
      rmSync(old.path, { force: true })
    renameSync(partial, join(this.#folder(uploadId), `${number}-${digest}`))
    return { size, md5: digest }
  }

  async putObjectMultipart(
    bucket: string,
    uploadId: string,
    wanted: readonly { readonly number: number; readonly etag: string }[],
  ) {
    const upload = this.upload(bucket, uploadId)
    const outOfOrder = wanted.some(
      ({ number }, index) => index > 0 && number <= (wanted[index - 1]?.number ?? 0),
    )
    if (outOfOrder) throw new S3Error('InvalidPartOrder', 'The list of parts was not in ascending order.')
    const received = new Map(this.parts(uploadId).map((part) => [part.number, part]))
    const parts = wanted.map(({ number, etag }, index) => {
      const part = received.get(number)
      // Clients in Go write the quotes as &#34;, which s3rver's XML reader does not decode.
      const md5 = /[0-9a-f]{32}/.exec(etag)?.[0]
      if (part === undefined || part.md5 !== md5)
        throw new S3Error('InvalidPart', 'One or more of the specified parts could not be found.', {
          PartNumber: number,
        })
      if (index < wanted.length - 1 && part.sizeBytes < SMALLEST_PART_BYTES)
        throw new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size', {
          PartNumber: number,
        })
      return part
    })
    const file = this.newContentFile(bucket, upload.key)
    await writeContent(join(this.getBucketPath(bucket), file), contentOf(parts))
    const md5s = createHash('md5').update(Buffer.concat(parts.map((part) => Buffer.from(part.md5, 'hex'))))
    const etag = `${md5s.digest('hex')}-${parts.length}`
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0)
    this.commit(bucket, upload.key, { file, sizeBytes, etag, metadata: upload.metadata })
    this.abortUpload(uploadId)
    return { size: sizeBytes, md5: etag }
  }

  /** Removes an upload and its parts. */
  abortUpload(uploadId: string): void {
    rmSync(this.#folder(uploadId), { recursive: true, force: true })
  }
}

async function* contentOf(parts: readonly Part[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield* createReadStream(part.path) as AsyncIterable<Buffer>
}
