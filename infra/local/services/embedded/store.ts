/**
 * The objects of the embedded S3 as files, in place of the store of s3rver. There a PUT overwrites the object while
 * others read it, an aborted PUT leaves a part of an object, and listings are not in the order of the keys.
 *
 * Each object is a content file with a unique name and a small JSON file that refers to it. An overwrite writes a
 * new content file and then replaces the JSON file by a rename: a reader gets the complete old or new object, also
 * after a kill. Nothing is flushed to disk: a crash of the machine may lose the last objects.
 */
import { randomBytes } from 'node:crypto'
import {
  constants,
  createReadStream,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import S3Error from '@20minutes/s3rver/lib/models/error.js'
import S3Object from '@20minutes/s3rver/lib/models/object.js'
import FilesystemStore, { type Bucket } from '@20minutes/s3rver/lib/stores/filesystem.js'
import type { CheckedBody } from './body.ts'
import { STORED_CHECKSUMS } from './checksums.ts'
import { writeContent } from './content.ts'
import { checkKey, compareKeys, keyToPath } from './keys.ts'

/** An object's metadata, as in its JSON file. */
export interface StoredObject {
  readonly key: string
  /** Name of the content file, in the folder of the JSON file. */
  readonly file: string
  readonly sizeBytes: number
  readonly etag: string
  readonly lastModified: string
  readonly metadata: Readonly<Record<string, string>>
}

const RECORD_SUFFIX = '%object.json'
const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
S3Object.ALLOWED_METADATA.push(...STORED_CHECKSUMS)

export class EmbeddedStore extends FilesystemStore {
  /**
   * Everything known, by bucket and key: read once at the start, and this process alone changes the folder.
   */
  readonly #objects = new Map<string, Map<string, StoredObject>>()
  readonly #buckets = new Map<string, Bucket>()
  /** Keys in the order of a listing; thrown away when a key comes or goes. */
  readonly #sorted = new Map<string, readonly string[]>()

  constructor(rootDirectory: string) {
    super(rootDirectory)
    for (const name of readdirSync(rootDirectory)) if (BUCKET_NAME.test(name)) this.#load(name)
  }

  #load(bucket: string): void {
    const objects = this.#bucket(bucket)
    for (const entry of readdirSync(this.getBucketPath(bucket), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith(RECORD_SUFFIX)) continue
      const object = JSON.parse(readFileSync(join(entry.parentPath, entry.name), 'utf8')) as StoredObject
      objects.set(object.key, object)
    }
  }

  #bucket(bucket: string): Map<string, StoredObject> {
    const objects = this.#objects.get(bucket) ?? new Map<string, StoredObject>()
    this.#objects.set(bucket, objects)
    return objects
  }

  /**
   * s3rver calls this at every request. Names that are not bucket names, such as `..`, never reach the file system.
   */
  override async getBucket(bucket: string): Promise<Bucket | null> {
    const known = this.#buckets.get(bucket)
    if (known !== undefined || !BUCKET_NAME.test(bucket)) return known ?? null
    const found = await super.getBucket(bucket)
    if (found !== null) this.#buckets.set(bucket, found)
    return found
  }

  /** s3rver reads the bucket's CORS and website rules at every request, although few buckets have any. */
  override async getSubresource(bucket: string, key: string | undefined, type: string): Promise<unknown> {
    return existsSync(this.getResourcePath(bucket, key, `${type}.xml`))
      ? super.getSubresource(bucket, key, type)
      : null
  }

  override async putBucket(bucket: string): Promise<Bucket | null> {
    if (!BUCKET_NAME.test(bucket))
      throw new S3Error('InvalidBucketName', 'The specified bucket is not valid.', { BucketName: bucket })
    return super.putBucket(bucket)
  }

  override async deleteBucket(bucket: string): Promise<void> {
    if (this.#bucket(bucket).size > 0)
      throw new S3Error('BucketNotEmpty', 'The bucket you tried to delete is not empty', {
        BucketName: bucket,
      })
    this.#objects.delete(bucket)
    this.#buckets.delete(bucket)
    this.#sorted.delete(bucket)
    await super.deleteBucket(bucket)
  }

  /** Path of the XML that s3rver stores with an object (its tags) or a bucket (its CORS rules). */
  override getResourcePath(bucket: string, key = '', resource = ''): string {
    return join(this.getBucketPath(bucket), `${key === '' ? '' : keyToPath(key)}%${resource}`)
  }

  find(bucket: string, key: string): StoredObject | undefined {
    return this.#bucket(bucket).get(key)
  }

  /** All keys of a bucket in the order of S3 (by UTF-8 bytes). */
  sortedKeys(bucket: string): readonly string[] {
    const sorted = this.#sorted.get(bucket) ?? [...this.#bucket(bucket).keys()].sort(compareKeys)
    this.#sorted.set(bucket, sorted)
    return sorted
  }

  async existsObject(bucket: string, key: string): Promise<boolean> {
    return this.find(bucket, key) !== undefined
  }

  /** s3rver calls this before it deletes a bucket; listing.ts answers the listings. */
  async listObjects(bucket: string, options: { readonly maxKeys?: number }) {
    const keys = this.sortedKeys(bucket)
    return {
      objects: keys.slice(0, options.maxKeys ?? 1000).map((key) => ({ key })),
      commonPrefixes: [],
      isTruncated: false,
    }
  }

  async getObject(
    bucket: string,
    key: string,
    options: { readonly start?: number; readonly end?: number } = {},
  ): Promise<S3Object | null> {
    const found = this.find(bucket, key)
    if (found === undefined) return null
    const last = Math.max(0, found.sizeBytes - 1)
    const range = { start: options.start ?? 0, end: Math.min(options.end ?? last, last) }
    const ranged = options.start !== undefined
    const satisfiable = range.start <= range.end && (!ranged || range.start < found.sizeBytes)
    // Opened in the same step in which it was found: a later overwrite does not change the bytes that are read.
    const content = satisfiable
      ? createReadStream('', { fd: openSync(join(this.getBucketPath(bucket), found.file), 'r'), ...range })
      : null
    const object = new S3Object(bucket, key, content, describe(found))
    if (ranged) object.range = range
    return object
  }

  async putObject(object: S3Object): Promise<{ readonly size: number; readonly md5: string }> {
    checkKey(object.key)
    const file = this.newContentFile(object.bucket, object.key)
    const { sizeBytes, md5 } = await writeContent(
      join(this.getBucketPath(object.bucket), file),
      object.content ?? Buffer.alloc(0),
    )
    const checksums = (object.content as Partial<CheckedBody> | null)?.checksums ?? {}
    this.commit(object.bucket, object.key, {
      file,
      sizeBytes,
      etag: md5,
      metadata: { ...clientMetadata(object.metadata), ...checksums },
    })
    return { size: sizeBytes, md5 }
  }

  /** A new file name for contents of a key, relative to the bucket's folder; creates its folder. */
  newContentFile(bucket: string, key: string): string {
    const file = `${keyToPath(key)}%${randomBytes(6).toString('hex')}`
    mkdirSync(dirname(join(this.getBucketPath(bucket), file)), { recursive: true })
    return file
  }

  /** Makes written content the object of this key, in one step. */
  commit(
    bucket: string,
    key: string,
    content: Pick<StoredObject, 'file' | 'sizeBytes' | 'etag' | 'metadata'>,
  ): StoredObject {
    const objects = this.#bucket(bucket)
    const old = objects.get(key)
    const object: StoredObject = { key, lastModified: new Date().toISOString(), ...content }
    const path = join(this.getBucketPath(bucket), keyToPath(key))
    writeFileSync(`${path}${RECORD_SUFFIX}.part`, JSON.stringify(object))
    renameSync(`${path}${RECORD_SUFFIX}.part`, `${path}${RECORD_SUFFIX}`)
    objects.set(key, object)
    if (old === undefined) this.#sorted.delete(bucket)
    else if (old.file !== content.file) rmSync(join(this.getBucketPath(bucket), old.file), { force: true })
    return object
  }

  async copyObject(
    sourceBucket: string,
    sourceKey: string,
    bucket: string,
    key: string,
    replacement: Readonly<Record<string, unknown>> | null,
  ) {
    checkKey(key)
    const source = this.find(sourceBucket, sourceKey)
    if (source === undefined)
      throw new S3Error('NoSuchKey', 'The specified key does not exist.', { Key: sourceKey })
    const file = this.newContentFile(bucket, key)
    await copyFile(
      join(this.getBucketPath(sourceBucket), source.file),
      join(this.getBucketPath(bucket), file),
      constants.COPYFILE_FICLONE,
    )
    const metadata =
      replacement === null
        ? source.metadata
        : clientMetadata(new S3Object(bucket, key, null, replacement).metadata)
    return describe(
      this.commit(bucket, key, { file, sizeBytes: source.sizeBytes, etag: source.etag, metadata }),
    )
  }

  async deleteObject(bucket: string, key: string): Promise<void> {
    const found = this.find(bucket, key)
    if (found === undefined) return
    const root = this.getBucketPath(bucket)
    rmSync(join(root, `${keyToPath(key)}${RECORD_SUFFIX}`), { force: true })
    this.#bucket(bucket).delete(key)
    this.#sorted.delete(bucket)
    rmSync(join(root, found.file), { force: true })
    rmSync(this.getResourcePath(bucket, key, 'tagging.xml'), { force: true })
    for (
      let folder = dirname(join(root, found.file));
      folder !== root && readdirSync(folder).length === 0;
      folder = dirname(folder)
    )
      rmdirSync(folder)
  }
}

/** Metadata in the form of s3rver's objects, including ETag, date and size. */
function describe(object: StoredObject): Readonly<Record<string, string>> {
  return {
    ...object.metadata,
    etag: `"${object.etag}"`,
    'last-modified': new Date(object.lastModified).toUTCString(),
    'content-length': String(object.sizeBytes),
  }
}

/**
 * The metadata of an S3Object that the client has set. `aws-chunked` is omitted: it is the framing, not the content.
 */
export function clientMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const {
    etag: _,
    'last-modified': __,
    'content-length': ___,
    'content-encoding': encoding,
    ...rest
  } = metadata
  const codings = (encoding ?? '').split(',').filter((coding) => !['', 'aws-chunked'].includes(coding.trim()))
  return codings.length === 0 ? rest : { ...rest, 'content-encoding': codings.join(',') }
}
