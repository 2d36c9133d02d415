/**
 * The conformance suite of S3 stores: what Cygnet needs of a store, tested on the embedded store and on real
 * ones. The test of a store makes a fixture and states the known differences of the store:
 *
 * @example
 * storeConformance('MinIO', startMinioFixture, { conditionalDeletes: false })
 */
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseNotification } from '../../shared/notifications/parse.ts'
import {
  ARRIVAL_EVENTS,
  applyBucketNotifications,
  readBucketNotifications,
} from '../../shared/storage/bucket-notifications.ts'
import { deleteNotification } from '../../shared/storage/ceph.ts'
import { deleteObject, findVersion } from '../../shared/storage/delete-object.ts'
import { presignGet } from '../../shared/storage/links.ts'
import {
  abortMultipart,
  completeMultipart,
  createMultipart,
  listParts,
  listUploads,
  sendPart,
} from '../../shared/storage/multipart.ts'
import { describeObject, listObjects, readObject } from '../../shared/storage/objects.ts'
import { multipartEtag } from '../../shared/storage/upload-layout.ts'
import { configureEvents, type EventsWanted } from './infra/clients.ts'
import { until } from './waiting.ts'

export interface StoreFixture {
  readonly bucket: string
  /** A bucket for which the suite may enable versioning; absent if the store has no versions. */
  readonly versionedBucket?: string
  /** @param more settings of the SDK; by default those of a user. */
  client(more?: object): S3Client
  /** The target of the store's events: a queue or a webhook. */
  readonly arn: string
  /** Texts of the notifications that arrived there since the last call. */
  delivered(): Promise<readonly string[]>
  close(): Promise<void>
}

export interface StoreTraits {
  /** False: a DELETE ignores its condition. `by-second`: it compares the date of the object, to the second. */
  readonly conditionalDeletes?: boolean | 'by-second'
  /** False: checksums other than Content-MD5 are neither compared nor stored, and their trailers refused. */
  readonly checksums?: boolean
  /** False: PUT compares an ETag in If-Match only when it is written without quotes, against the standard. */
  readonly conditionalReplacing?: boolean
  /** False: an empty configuration of notifications is refused; each is deleted by its id. */
  readonly emptiedNotifications?: boolean
}

const signal = new AbortController().signal
const MIB = 1024 ** 2
const md5Of = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex')
const byBytes = (keys: readonly string[]) =>
  keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

export function storeConformance(
  kind: string,
  makeFixture: () => Promise<StoreFixture>,
  {
    conditionalDeletes = true,
    checksums = true,
    conditionalReplacing = true,
    emptiedNotifications = true,
  }: StoreTraits = {},
): void {
  describe(`the store ${kind} conforms`, () => {
    let fixture: StoreFixture
    let Bucket: string
    let s3: S3Client
    beforeAll(async () => {
      fixture = await makeFixture()
      Bucket = fixture.bucket
      s3 = fixture.client()
    })
    afterAll(async () => {
      s3?.destroy()
      await fixture?.close()
    })

    const put = (Key: string, Body: string | Buffer, more: object = {}) =>
      s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }))
    const read = async (Key: string, more: object = {}) => {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }))
      return Buffer.from((await Body?.transformToByteArray()) ?? [])
    }
    const described = async (key: string) => {
      const object = await describeObject(s3, { bucket: Bucket, key }, signal)
      if (object === null) throw new Error(`there is no ${key}`)
      return object
    }

    const sdkChecksums = ['WHEN_REQUIRED', 'WHEN_SUPPORTED'] as const
    test.each(sdkChecksums.slice(0, checksums ? 2 : 1))(
      'bytes come back as they were sent, whole and in parts, with SDK checksums %s',
      async (mode) => {
        const client = fixture.client({ requestChecksumCalculation: mode, responseChecksumValidation: mode })
        const body = randomBytes(3_000_001)
        const Body = Readable.from([body.subarray(0, 1_000_000), body.subarray(1_000_000)])
        const Metadata = { run: '12345' }
        await client.send(
          new PutObjectCommand({ Bucket, Key: mode, Body, ContentLength: body.length, Metadata }),
        )
        expect((await read(mode)).equals(body)).toBe(true)
        const { Metadata: kept } = await client.send(new HeadObjectCommand({ Bucket, Key: mode }))
        expect(kept).toEqual(Metadata)
        const Key = `parts/${mode}`
        await new Upload({ client, params: { Bucket, Key, Body: Readable.from([body, body, body]) } }).done()
        expect((await read(Key)).equals(Buffer.concat([body, body, body]))).toBe(true)
        client.destroy()
      },
    )

    test('an object is described with its size, its MD5 as ETag and the checksum that came with it', async () => {
      const bytes = randomBytes(100_000)
      await put('described', bytes, { ChecksumAlgorithm: 'SHA256' })
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      expect(await described('described')).toMatchObject({
        sizeBytes: bytes.length,
        etag: md5Of(bytes),
        stated: expect.arrayContaining([
          { by: 'etag', digests: { md5: md5Of(bytes) } },
          ...(checksums ? [{ by: 'store', digests: expect.objectContaining({ sha256 }) }] : []),
        ]),
      })
      expect(await describeObject(s3, { bucket: Bucket, key: 'nothing' }, signal)).toBeNull()
    })

    test('a body with a wrong MD5 is refused', async () => {
      const ContentMD5 = createHash('md5').update('hello').digest('base64')
      await expect(put('not-stored', 'hullo', { ContentMD5 })).rejects.toMatchObject({
        $metadata: { httpStatusCode: 400 },
      })
      await expect(read('not-stored')).rejects.toMatchObject({ name: 'NoSuchKey' })
    })

    test.runIf(checksums).each(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const)(
      'a body with a wrong %s checksum is refused',
      async (ChecksumAlgorithm) => {
        const name = `Checksum${ChecksumAlgorithm}` as const
        await put('summed', 'hello', { ChecksumAlgorithm })
        const { [name]: kept, ChecksumType } = await s3.send(
          new HeadObjectCommand({ Bucket, Key: 'summed', ChecksumMode: 'ENABLED' }),
        )
        expect(ChecksumType).toBe('FULL_OBJECT')
        await put('summed-again', 'hello', { [name]: kept })
        await expect(put('not-stored', 'hullo', { [name]: kept })).rejects.toMatchObject({
          $metadata: { httpStatusCode: 400 },
        })
        await expect(read('not-stored')).rejects.toMatchObject({ name: 'NoSuchKey' })
      },
    )

    test('a range of first, middle or last bytes is returned', async () => {
      await put('ranges', '0123456789')
      for (const [Range, expected] of [
        ['bytes=2-4', '234'],
        ['bytes=7-', '789'],
        ['bytes=-3', '789'],
        ['bytes=-30', '0123456789'],
      ] as const)
        expect((await read('ranges', { Range })).toString()).toBe(expected)
      await expect(read('ranges', { Range: 'bytes=10-' })).rejects.toMatchObject({ name: 'InvalidRange' })
    })

    test('a read that began before an overwrite returns the old object to its end', async () => {
      const old = randomBytes(4_000_000)
      await put('busy', old)
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: 'busy' }))
      await put('busy', Buffer.alloc(5_000_000))
      await put('busy', Buffer.from('short'))
      expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(old)).toBe(true)
      expect((await read('busy')).toString()).toBe('short')
    })

    test('a conditional GET never returns another version', async () => {
      const { ETag: first } = await put('versions', 'first')
      const { ETag: second } = await put('versions', 'second')
      await expect(read('versions', { IfMatch: first })).rejects.toMatchObject({
        $metadata: { httpStatusCode: 412 },
      })
      expect((await read('versions', { IfMatch: second })).toString()).toBe('second')
    })

    test('a conditional write creates an object once and replaces only the version it names', async () => {
      const Key = `once-${randomBytes(4).toString('hex')}`
      const { ETag } = await put(Key, 'first', { IfNoneMatch: '*' })
      await expect(put(Key, 'second', { IfNoneMatch: '*' })).rejects.toMatchObject({
        name: 'PreconditionFailed',
      })
      await expect(put(Key, 'second', { IfMatch: '"other"' })).rejects.toMatchObject({
        name: 'PreconditionFailed',
      })
      const named = conditionalReplacing ? ETag : ETag?.replaceAll('"', '')
      await put(Key, 'third', { IfMatch: named })
      expect((await read(Key)).toString()).toBe('third')
    })

    test('a listing in pages has every key once, in the order of bytes', async () => {
      const keys = ['A', 'a', 'a b', 'a+b', 'a%2Fb', 'a-b/1', 'c/b/1', 'c.b', 'c/', 'c0', 'ü', '\uffee', '🦢']
      const wanted = byBytes(keys.map((key) => `p/${key}`))
      for (const key of wanted) await put(key, 'x')
      const listed: string[] = []
      for (let startAfter: string | null = null; ; ) {
        const page = await listObjects(s3, { bucket: Bucket, prefix: 'p/', startAfter, pageSize: 3 }, signal)
        listed.push(...page.objects.map(({ key }) => key))
        startAfter = page.last
        if (startAfter === null) break
      }
      expect(listed).toEqual(wanted)
      for (const key of wanted) expect((await read(key)).toString()).toBe('x')
      const after = { bucket: Bucket, prefix: 'p/', startAfter: 'p/c.b' }
      const { objects } = await listObjects(s3, after, signal)
      expect(objects.map(({ key }) => key)).toEqual(
        wanted.filter((key) => byBytes([key, 'p/c.b'])[0] !== key),
      )
    })

    test('a multipart upload is found again, continued, completed with the ETag of its parts, and read in order', async () => {
      const object = { bucket: Bucket, key: 'LNGS/run00001.mid.gz', metadata: { md5: 'aa' }, replace: false }
      const bodies = [randomBytes(5 * MIB), randomBytes(1000)].map(bodyOf)
      const [one, two] = bodies as [PartBody, PartBody]
      const upload = await createMultipart(s3, object, signal)
      const second = await sendPart(s3, upload, 2, two, signal)
      expect(await listUploads(s3, object, signal)).toMatchObject([{ uploadId: upload.uploadId }])
      const first = await sendPart(s3, upload, 1, one, signal)
      for (const pageSize of [1, 1000]) {
        const parts = await listParts(s3, upload, signal, pageSize)
        expect([...(parts?.entries() ?? [])]).toEqual([
          [1, first],
          [2, second],
        ])
      }
      const wrong = [{ ...first, etag: second.etag }, second]
      await expect(completeMultipart(s3, upload, wrong, object, signal)).rejects.toMatchObject({
        name: 'InvalidPart',
      })
      expect(await completeMultipart(s3, upload, [first, second], object, signal)).toBe('stored')
      expect(await listUploads(s3, object, signal)).toEqual([])
      const stored = await described(object.key)
      expect(stored.etag).toBe(multipartEtag(bodies.map(({ md5 }) => md5)))
      const back = Buffer.concat(await Array.fromAsync(readObject(s3, stored, signal)))
      expect(back.equals(Buffer.concat(bodies.map(({ bytes }) => bytes)))).toBe(true)
    })

    test('an aborted upload is no longer listed and leaves no object', async () => {
      const object = { bucket: Bucket, key: 'given-up', metadata: {}, replace: false }
      const upload = await createMultipart(s3, object, signal)
      await sendPart(s3, upload, 1, bodyOf(Buffer.from('late')), signal)
      await abortMultipart(s3, upload, signal)
      expect(await listParts(s3, upload, signal)).toBeNull()
      expect(await describeObject(s3, object, signal)).toBeNull()
    })

    test('a multipart upload that may only create does not replace an object that was written meanwhile', async () => {
      const object = { bucket: Bucket, key: 'parts-once', metadata: {}, replace: false }
      const upload = await createMultipart(s3, object, signal)
      const part = await sendPart(s3, upload, 1, bodyOf(Buffer.from('late')), signal)
      await put('parts-once', 'first')
      expect(await completeMultipart(s3, upload, [part], object, signal)).toBe('occupied')
      expect((await read('parts-once')).toString()).toBe('first')
    })

    test('a copy has the same bytes and metadata, also under an awkward name', async () => {
      await put('from a+b%', 'hello', { Metadata: { run: '1' } })
      const CopySource = `${Bucket}/${encodeURIComponent('from a+b%')}`
      await s3.send(new CopyObjectCommand({ Bucket, Key: 'to', CopySource }))
      const { Body, Metadata } = await s3.send(new GetObjectCommand({ Bucket, Key: 'to' }))
      expect([await Body?.transformToString(), Metadata]).toEqual(['hello', { run: '1' }])
    })

    test('a presigned link downloads its object under the given name, and no other object', async () => {
      await put('LNGS/run 2+ü.mid', 'linked')
      const name = { bucket: Bucket, key: 'LNGS/run 2+ü.mid' }
      const { url } = await presignGet(s3, name, { seconds: 60, now: new Date(), fileName: 'run2.mid' })
      const answer = await fetch(url)
      expect(answer.headers.get('content-disposition')).toContain('run2.mid')
      expect(await answer.text()).toBe('linked')
      expect((await fetch(url.replace('LNGS/run', 'LNGS/fun'))).status).toBe(403)
      expect((await fetch(url, { method: 'DELETE' })).status).toBe(403)
    })

    test('a link to an object stored with a Content-Encoding gives the stored bytes, whole and in part', async () => {
      const bytes = gzipSync('a run')
      const name = { bucket: Bucket, key: 'LNGS/encoded.mid.gz' }
      await s3.send(new PutObjectCommand({ Bucket, Key: name.key, Body: bytes, ContentEncoding: 'gzip' }))
      const { url } = await presignGet(s3, name, { seconds: 60, now: new Date() })
      const fetched = async (headers: Record<string, string>) =>
        Buffer.from(await (await fetch(url, { headers })).arrayBuffer())
      expect(await fetched({})).toEqual(bytes)
      expect(await fetched({ range: 'bytes=2-9' })).toEqual(bytes.subarray(2, 10))
      expect((await described(name.key)).contentEncoding).toBe('gzip')
    })

    test('a version is deleted, and deleting a deleted version is no error', async () => {
      await put('deleted', 'one')
      const version = await described('deleted')
      expect(await deleteObject(s3, version, signal)).toEqual({ kind: 'deleted', marked: false })
      expect(await findVersion(s3, version, signal)).toBe('absent')
    })

    test.runIf(conditionalDeletes !== false)(
      'a conditional DELETE leaves another version alone',
      async () => {
        await put('changed', 'one')
        const version = await described('changed')
        if (conditionalDeletes === 'by-second') await sleep(1001)
        await put('changed', 'two')
        expect(await deleteObject(s3, version, signal)).toEqual({ kind: 'changed' })
        expect((await read('changed')).toString()).toBe('two')
        const name = { Bucket, Key: 'changed' }
        const { ETag: IfMatch } = await s3.send(new HeadObjectCommand(name))
        await s3.send(new DeleteObjectCommand({ ...name, IfMatch }))
        const kind = conditionalDeletes === 'by-second' ? 'deleted' : 'absent'
        expect(await deleteObject(s3, version, signal)).toMatchObject({ kind })
      },
    )

    test('a bucket with versions returns and deletes each by its id', async (context) => {
      const { versionedBucket: bucket } = fixture
      if (bucket === undefined) return context.skip('the store keeps no versions')
      const VersioningConfiguration = { Status: 'Enabled' } as const
      await s3.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }))
      const name = { bucket, key: 'kept' }
      const write = async (Body: string) => {
        await s3.send(new PutObjectCommand({ Bucket: bucket, Key: name.key, Body }))
        const version = await describeObject(s3, name, signal)
        if (version === null) throw new Error('it is not there')
        return version
      }
      const [one, two] = [await write('one'), await write('two')]
      expect(one.versionId).not.toBeNull()
      expect(await deleteObject(s3, two, signal)).toEqual({ kind: 'deleted', marked: false })
      expect(await findVersion(s3, two, signal)).toBe('absent')
      expect(await findVersion(s3, one, signal)).toBe('there')
      expect(await describeObject(s3, name, signal)).toMatchObject({ versionId: one.versionId })
    })

    describe('notifications', () => {
      const configure = (wanted: readonly EventsWanted[]) =>
        configureEvents(s3, Bucket, wanted, fixture.arn.split(':')[2] === 'sns' ? 'topic' : 'queue')

      /** Keys and ETags of the notifications, as Cygnet's functions parse them. */
      const notified = async (count: number) => {
        // At least once: a store may repeat itself.
        const arrivals = new Map<string, string | null>()
        await until(async () => {
          for (const text of await fixture.delivered()) {
            const parsed = parseNotification(text)
            expect(parsed.rejected).toEqual([])
            for (const { key, etag } of parsed.arrivals) arrivals.set(key, etag)
          }
          return arrivals.size >= count
        })
        return [...arrivals].toSorted(([a], [b]) => (a < b ? -1 : 1))
      }

      test('notifications are configured by the S3 API, repeatedly with the same result, and read back', async () => {
        const wanted = { bucket: Bucket, arn: fixture.arn, prefixes: ['LNGS/'], suffixes: ['.mid.gz'] }
        const applied = await applyBucketNotifications(s3, wanted, signal)
        expect(applied.changed).toBe(true)
        expect(await readBucketNotifications(s3, Bucket, signal)).toEqual([
          {
            id: expect.stringMatching(/^cygnet-/),
            ours: true,
            arn: fixture.arn,
            events: ARRIVAL_EVENTS,
            prefix: 'LNGS/',
            suffix: '.mid.gz',
          },
        ])
        expect((await applyBucketNotifications(s3, wanted, signal)).changed).toBe(false)
      })

      test('notifications are sent for each configured arrival: a PUT, a copy, a multipart upload', async () => {
        await configure([
          { arn: fixture.arn, prefix: 'notified/', suffix: '.mid.gz', events: ARRIVAL_EVENTS },
        ])
        await fixture.delivered()
        const etags = new Map<string, string>()
        await put('notified/other.png', 'x')
        await put('ignored/run1.mid.gz', 'x')
        for (const key of ['notified/run 1+2%ü.mid.gz', 'notified/🦢.mid.gz']) await put(key, key)
        const CopySource = `${Bucket}/ignored/run1.mid.gz`
        await s3.send(new CopyObjectCommand({ Bucket, Key: 'notified/copied.mid.gz', CopySource }))
        const Body = Buffer.alloc(6 * MIB, 1)
        const params = { Bucket, Key: 'notified/parts.mid.gz', Body }
        await new Upload({ client: s3, partSize: 5 * MIB, params }).done()
        await s3.send(new DeleteObjectCommand({ Bucket, Key: 'notified/other.png' }))
        const keys = [
          'notified/run 1+2%ü.mid.gz',
          'notified/🦢.mid.gz',
          'notified/copied.mid.gz',
          'notified/parts.mid.gz',
        ]
        for (const key of keys) etags.set(key, (await described(key)).etag)
        expect(await notified(keys.length)).toEqual([...etags].toSorted(([a], [b]) => (a < b ? -1 : 1)))
      })

      test('notifications end when the configuration is emptied, and resume when it is set again', async () => {
        await configure([{ arn: fixture.arn, events: ARRIVAL_EVENTS }])
        await put('notified/last.mid.gz', 'x')
        expect((await notified(1)).map(([key]) => key)).toEqual(['notified/last.mid.gz'])
        if (emptiedNotifications) await configure([])
        else
          for (const { id } of await readBucketNotifications(s3, Bucket, signal))
            await deleteNotification(s3, Bucket, id, signal)
        expect(await readBucketNotifications(s3, Bucket, signal)).toEqual([])
        await put('notified/silent.mid.gz', 'x')
        await configure([{ arn: fixture.arn, events: ARRIVAL_EVENTS }])
        await put('notified/again.mid.gz', 'x')
        expect((await notified(1)).map(([key]) => key)).toEqual(['notified/again.mid.gz'])
      })

      test('notifications to an impossible target are refused', async () => {
        const arn = fixture.arn.replace(/[^:]*:[^:]+$/, 'other:nothing')
        await expect(configure([{ arn, events: ARRIVAL_EVENTS }])).rejects.toMatchObject({
          $metadata: { httpStatusCode: expect.toSatisfy((status) => status === 400 || status === 404) },
        })
      })
    })
  })
}

type PartBody = ReturnType<typeof bodyOf>

function bodyOf(bytes: Buffer) {
  return {
    bytes,
    sizeBytes: bytes.length,
    md5: md5Of(bytes),
    async *open() {
      yield bytes
    },
  }
}
