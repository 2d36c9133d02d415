import { createHash, randomBytes } from 'node:crypto'
import { HeadObjectCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { createPushClient } from '../../../cli/push/push.ts'
import { startTestStore } from '../../../infra/local/testing.ts'
import { loadConfig } from '../../../shared/config/config.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import {
  abortMultipart,
  completeMultipart,
  createMultipart,
  listParts,
  listUploads,
  sendPart,
} from '../../../shared/storage/multipart.ts'
import { describeObject, readObject } from '../../../shared/storage/objects.ts'
import { putWhole } from '../../../shared/storage/upload.ts'
import {
  LARGEST_PART_BYTES,
  layUpload,
  multipartEtag,
  partRange,
  SMALLEST_PART_BYTES,
} from '../../../shared/storage/upload-layout.ts'

const store = await startTestStore()
const s3 = createPushClient(
  loadConfig({ CYGNET_DATABASE_URL: 'mysql://none@localhost/none', ...store.environment }),
)
afterAll(() => s3.destroy())

const signal = new AbortController().signal
const MIB = 1024 ** 2
const md5Of = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex')
const object = (key: string, more: { replace?: boolean } = {}) => ({
  bucket: store.bucket,
  key,
  metadata: { md5: 'aa' },
  replace: false,
  ...more,
})
function bodyOf(bytes: Uint8Array, md5 = md5Of(bytes)) {
  return {
    sizeBytes: bytes.length,
    md5,
    async *open() {
      for (let offset = 0; offset < bytes.length; offset += 64 * 1024)
        yield bytes.subarray(offset, offset + 64 * 1024)
    },
  }
}
async function contentOf(key: string): Promise<Buffer> {
  const version = await describeObject(s3, { bucket: store.bucket, key }, signal)
  if (version === null) throw new Error(`no ${key}`)
  return Buffer.concat(await Array.fromAsync(readObject(s3, version, signal)))
}

describe('the layout of an upload', () => {
  test('keeps the wanted part size where it can, and grows it so that 10,000 parts suffice', () => {
    expect(layUpload(6e9, 16 * MIB)).toEqual({ partSizeBytes: 16 * MIB, partCount: 358 })
    expect(layUpload(16 * MIB, 16 * MIB).partCount).toBe(1)
    expect(layUpload(16 * MIB + 1, 16 * MIB).partCount).toBe(2)
    expect(layUpload(5e12, 16 * MIB)).toEqual({ partSizeBytes: 477 * MIB, partCount: 9997 })
    expect(() => layUpload(10_000 * LARGEST_PART_BYTES + 1, 16 * MIB)).toThrow(InvalidInputError)
  })

  test('covers every byte once, with parts that S3 accepts', () => {
    const size = fc.oneof(
      fc.integer({ min: 1, max: 2 ** 40 }),
      fc.maxSafeNat().map((value) => (value % (10_000 * LARGEST_PART_BYTES)) + 1),
    )
    fc.assert(
      fc.property(
        size,
        fc.integer({ min: SMALLEST_PART_BYTES, max: LARGEST_PART_BYTES }),
        (sizeBytes, wanted) => {
          const layout = layUpload(sizeBytes, wanted)
          expect(layout.partCount).toBeLessThanOrEqual(10_000)
          expect(layout.partSizeBytes).toBeLessThanOrEqual(LARGEST_PART_BYTES)
          expect(layout.partSizeBytes).toBeGreaterThanOrEqual(wanted)
          const last = partRange(sizeBytes, layout, layout.partCount)
          expect(last.start + last.length).toBe(sizeBytes)
          expect(last.length).toBeGreaterThan(0)
          expect(last.length).toBeLessThanOrEqual(layout.partSizeBytes)
          expect(partRange(sizeBytes, layout, 1).start).toBe(0)
        },
      ),
    )
  })
})

describe('a PUT', () => {
  test('stores the bytes and the metadata', async () => {
    const bytes = randomBytes(300_000)
    expect(await putWhole(s3, object('put'), bodyOf(bytes), signal)).toEqual({
      outcome: 'stored',
      etagIsMd5: true,
    })
    expect((await contentOf('put')).equals(bytes)).toBe(true)
    const head = await s3.send(new HeadObjectCommand({ Bucket: store.bucket, Key: 'put' }))
    expect(head.Metadata).toEqual({ md5: 'aa' })
  })

  test('replaces an object only on request', async () => {
    await putWhole(s3, object('once'), bodyOf(Buffer.from('first')), signal)
    expect((await putWhole(s3, object('once'), bodyOf(Buffer.from('second')), signal)).outcome).toBe(
      'occupied',
    )
    expect((await contentOf('once')).toString()).toBe('first')
    await putWhole(s3, object('once', { replace: true }), bodyOf(Buffer.from('second')), signal)
    expect((await contentOf('once')).toString()).toBe('second')
  })

  test('of bytes that do not match the checksum is refused by the store, and no object appears', async () => {
    await expect(
      putWhole(s3, object('damaged'), bodyOf(Buffer.from('abc'), md5Of(Buffer.from('abd'))), signal),
    ).rejects.toThrow(/BadDigest|MD5|Content-MD5/i)
    expect(await describeObject(s3, { bucket: store.bucket, key: 'damaged' }, signal)).toBeNull()
  })

  test('ends at once with the reason when the source fails, and no object appears', async () => {
    const source = {
      ...bodyOf(randomBytes(200_000)),
      async *open() {
        yield randomBytes(100_000)
        throw new InvalidInputError('the disk is broken')
      },
    }
    await expect(putWhole(s3, object('broken'), source, signal)).rejects.toThrow('the disk is broken')
    expect(await describeObject(s3, { bucket: store.bucket, key: 'broken' }, signal)).toBeNull()
  })

  test('is aborted by its signal', async () => {
    const controller = new AbortController()
    const source = {
      ...bodyOf(randomBytes(200_000)),
      async *open() {
        yield randomBytes(1000)
        controller.abort(new InvalidInputError('interrupted'))
        await new Promise(() => {})
      },
    }
    await expect(putWhole(s3, object('aborted'), source, controller.signal)).rejects.toThrow('interrupted')
  })
})

describe('an upload in parts', () => {
  const parts = [randomBytes(5 * MIB), randomBytes(5 * MIB), randomBytes(77)] as const

  test('makes one object, whose ETag follows from the MD5s of the parts', async () => {
    const upload = await createMultipart(s3, object('parts'), signal)
    const stored = []
    for (const [index, bytes] of parts.entries())
      stored.push(await sendPart(s3, upload, index + 1, bodyOf(bytes), signal))
    expect(await completeMultipart(s3, upload, stored, { replace: false }, signal)).toBe('stored')
    expect((await contentOf('parts')).equals(Buffer.concat(parts))).toBe(true)
    const etag = (await describeObject(s3, { bucket: store.bucket, key: 'parts' }, signal))?.etag
    expect(etag).toBe(multipartEtag(parts.map(md5Of)))
  })

  test('is found again with the parts that arrived, page by page, among uploads of longer keys', async () => {
    const upload = await createMultipart(s3, object('found'), signal)
    await createMultipart(s3, object('found-not'), signal)
    for (const number of [1, 2, 7]) await sendPart(s3, upload, number, bodyOf(parts[2]), signal)
    const listed = await listParts(s3, upload, signal, 2)
    expect([...(listed?.keys() ?? [])]).toEqual([1, 2, 7])
    expect(
      (await listUploads(s3, { bucket: store.bucket, key: 'found' }, signal)).map(({ uploadId }) => uploadId),
    ).toEqual([upload.uploadId])
  })

  test('that was aborted is deleted, and aborting it again is not an error', async () => {
    const upload = await createMultipart(s3, object('given-up'), signal)
    const part = await sendPart(s3, upload, 1, bodyOf(parts[0]), signal)
    await abortMultipart(s3, upload, signal)
    await abortMultipart(s3, upload, signal)
    expect(await listParts(s3, upload, signal)).toBeNull()
    expect(await completeMultipart(s3, upload, [part], { replace: false }, signal)).toBe('gone')
    const { Uploads } = await s3.send(
      new ListMultipartUploadsCommand({ Bucket: store.bucket, Prefix: 'given-up' }),
    )
    expect(Uploads ?? []).toEqual([])
  })
})
