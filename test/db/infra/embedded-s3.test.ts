import { existsSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Embedded, startEmbedded } from '../../../infra/local/services/embedded/embedded.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { s3Client } from '../../support/infra/clients.ts'
import { LONGEST_WAIT_MS } from '../../support/waiting.ts'

const Bucket = 'cygno-data'
let dataFolder: string
let embedded: Embedded
let s3: S3Client

beforeAll(async () => {
  dataFolder = temporaryFolder()
  embedded = await startEmbedded({ dataFolder, buckets: [Bucket], keepMessages: false })
  s3 = s3Client(embedded.connection)
})
afterAll(async () => {
  await embedded?.stop()
  rmSync(dataFolder, { recursive: true, force: true })
})

const put = (Key: string, Body: string | Buffer, more: object = {}) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }))
const read = async (Key: string, more: object = {}) => {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }))
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}
async function list(prefix: string, pageSize = 1000): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const page of paginateListObjectsV2({ client: s3, pageSize }, { Bucket, Prefix: prefix }))
    keys.push(...(page.Contents ?? []).map(({ Key }) => Key ?? ''))
  return keys
}

test('every key is stored and returned unchanged: never another object, never another file', async () => {
  const part = fc.oneof(
    fc.constantFrom('.', '..', '', 'a', '%object', '%2E', 'a b', 'a+b', '%', '~'),
    fc.string({ unit: 'grapheme', maxLength: 12 }),
  )
  const key = fc
    .array(part, { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('/').replaceAll('\u0000', ''))
    .filter((key) => key !== '' && !/[\ud800-\udfff](?![\udc00-\udfff])|^\//.test(key))
  let number = 0
  const written = new Map<string, string>()
  await fc.assert(
    fc.asyncProperty(key, async (suffix) => {
      const Key = `any/${suffix}`
      number += 1
      await put(Key, String(number))
      written.set(Key, String(number))
      expect((await read(Key)).toString()).toBe(String(number))
    }),
    { numRuns: 60 },
  )
  expect(await list('any/')).toEqual(
    [...written.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  )
  for (const [Key, content] of written) expect((await read(Key)).toString()).toBe(content)
  expect(readdirSync(dataFolder).sort()).toEqual(['embedded', 'logs', 'owner.json'])
})

test('a key longer than a file name is stored; one longer than S3 allows is refused', async () => {
  await put(`long/${'k'.repeat(1000)}`, 'x')
  expect(await list('long/')).toEqual([`long/${'k'.repeat(1000)}`])
  await expect(put(`long/${'k'.repeat(1020)}`, 'x')).rejects.toMatchObject({ name: 'KeyTooLongError' })
})

test('a listing in pages has every key once, in the order of S3, however the keys nest', async () => {
  const keys = [
    'p/a-b/1',
    'p/a/b/1',
    'p/a.b',
    'p/a',
    'p/a/',
    'p/a/c',
    'p/A',
    'p/ü',
    'p/\uffee',
    'p/🦢',
    'p/a0',
  ]
  for (const key of keys) await put(key, 'x')
  const expected = keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  for (const pageSize of [1, 2, 3, 1000]) expect(await list('p/', pageSize)).toEqual(expected)
  const folders = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'p/', Delimiter: '/' }))
  expect(folders.CommonPrefixes?.map(({ Prefix }) => Prefix)).toEqual(['p/a-b/', 'p/a/'])
  const resumed = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'p/', StartAfter: 'p/a/b/1' }))
  expect(resumed.Contents?.map(({ Key }) => Key)).toEqual(expected.slice(expected.indexOf('p/a/b/1') + 1))
})

test.each(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const)(
  'a %s checksum is checked, kept and given back',
  async (ChecksumAlgorithm) => {
    const name = `Checksum${ChecksumAlgorithm}` as const
    await put('summed', 'hello', { ChecksumAlgorithm })
    const { [name]: kept, ChecksumType } = await s3.send(
      new HeadObjectCommand({ Bucket, Key: 'summed', ChecksumMode: 'ENABLED' }),
    )
    expect(ChecksumType).toBe('FULL_OBJECT')
    await put('summed-again', 'hello', { [name]: kept })
    await expect(put('not-stored', 'hullo', { [name]: kept })).rejects.toMatchObject({ name: 'BadDigest' })
    await expect(read('not-stored')).rejects.toMatchObject({ name: 'NoSuchKey' })
  },
)

test('an interrupted PUT leaves the object unchanged', async () => {
  await put('broken', 'whole')
  const { hostname, port } = new URL(embedded.connection.s3.endpoint)
  const { presign } = await presigned('PUT', 'broken')
  const socket = connect(Number(port), hostname)
  socket.write(
    `PUT ${presign} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(500_000)}`,
  )
  const files = () =>
    readdirSync(join(dataFolder, 'embedded', 'objects', Bucket)).filter((name) => name.startsWith('broken%'))
  await vi.waitFor(() => expect(files()).toHaveLength(3), LONGEST_WAIT_MS) // the new content is being written next to the old
  socket.destroy()
  await vi.waitFor(() => expect(files()).toHaveLength(2), LONGEST_WAIT_MS)
  expect((await read('broken')).toString()).toBe('whole')
})

test('an object whose PUT was answered survives a kill -9', async () => {
  for (const body of ['first', 'second']) await put('replaced', body)
  await put('answered', 'safe')
  process.kill(embedded.pid, 'SIGKILL')
  await embedded.ended
  embedded = await startEmbedded({ dataFolder, buckets: [Bucket], keepMessages: false })
  s3 = s3Client(embedded.connection)
  expect((await read('answered')).toString()).toBe('safe')
  expect((await read('replaced')).toString()).toBe('second')
})

test('a multipart upload can be listed, continued and aborted; a wrong part list is refused', async () => {
  const Key = 'resumed'
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }))
  const part = async (PartNumber: number, Body: Buffer) =>
    (await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }))).ETag
  const [two, one] = [await part(2, Buffer.from('end')), await part(1, Buffer.alloc(5 * 1024 * 1024, 1))]
  const { Parts } = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId }))
  expect(Parts?.map(({ PartNumber, ETag, Size }) => [PartNumber, ETag, Size])).toEqual([
    [1, one, 5 * 1024 * 1024],
    [2, two, 3],
  ])
  const complete = (...Parts: { PartNumber: number; ETag: string | undefined }[]) =>
    s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }))
  await expect(complete({ PartNumber: 1, ETag: two })).rejects.toMatchObject({ name: 'InvalidPart' })
  await expect(complete({ PartNumber: 2, ETag: two }, { PartNumber: 1, ETag: one })).rejects.toMatchObject({
    name: 'InvalidPartOrder',
  })
  await complete({ PartNumber: 1, ETag: one }, { PartNumber: 2, ETag: two })
  expect((await read(Key, { Range: 'bytes=-4' })).toString()).toBe('\u0001end')

  const other = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }))
  await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId: other.UploadId }))
  await expect(
    s3.send(new ListPartsCommand({ Bucket, Key, UploadId: other.UploadId })),
  ).rejects.toMatchObject({ name: 'NoSuchUpload' })
})

test('many keys of any form are deleted with one request', async () => {
  const keys = ['007', '1e3', 'a&b<c>"d', "it's", 'new\nline']
  for (const key of keys) await put(`many/${key}`, 'x')
  await put('123', 'x')
  await s3.send(
    new DeleteObjectsCommand({
      Bucket,
      Delete: { Objects: [...keys.map((key) => ({ Key: `many/${key}` })), { Key: '123' }] },
    }),
  )
  expect(await list('many/')).toEqual([])
  await expect(read('123')).rejects.toMatchObject({ name: 'NoSuchKey' })
})

test('reads and writes without a valid signature, or with an expired one, are refused', async () => {
  await put('private', 'secret')
  const { endpoint } = embedded.connection.s3
  for (const method of ['GET', 'PUT', 'DELETE'])
    expect((await fetch(`${endpoint}/${Bucket}/private`, { method })).status).toBe(403)
  const wrong = { credentials: { ...embedded.connection.s3, secretAccessKey: 'x'.repeat(40) } }
  await expect(
    s3Client(embedded.connection, wrong).send(new GetObjectCommand({ Bucket, Key: 'private' })),
  ).rejects.toMatchObject({
    name: 'SignatureDoesNotMatch',
  })
  const s3rverDefault = { credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' } }
  await expect(
    s3Client(embedded.connection, s3rverDefault).send(new GetObjectCommand({ Bucket, Key: 'private' })),
  ).rejects.toMatchObject({
    name: 'InvalidAccessKeyId',
  })
  const halfAnHourAgo = new Date(Date.now() - 1_800_000)
  const link = await presigned('GET', 'private', { signedAt: halfAnHourAgo, expiresSeconds: 3600 })
  expect(await (await fetch(link.url)).text()).toBe('secret')
  expect((await fetch(link.url.replace('private', 'summed'))).status).toBe(403)
  const expired = await presigned('GET', 'private', { signedAt: halfAnHourAgo, expiresSeconds: 1799 })
  expect((await fetch(expired.url)).status).toBe(403)
})

test('idle connections are not closed, since a client could use one at that moment', async () => {
  const { s3, sqs, control } = embedded.connection
  for (const { endpoint } of [s3, sqs, control])
    expect((await fetch(endpoint)).headers.get('keep-alive'), endpoint).toBeNull()
})

test('no bucket, key or upload id leads to a file outside the folder', async () => {
  for (const path of [
    '/../embedded/credentials.json',
    '/..%2f..%2fetc/passwd',
    `/${Bucket}/..%2f..%2f..%2fcredentials.json`,
  ]) {
    const { status } = await fetch((await presigned('GET', 'x')).url.replace(`/${Bucket}/x`, path))
    expect([400, 403, 404]).toContain(status)
  }
  await expect(
    s3.send(
      new UploadPartCommand({ Bucket, Key: 'x', UploadId: '../../../escaped', PartNumber: 1, Body: 'x' }),
    ),
  ).rejects.toMatchObject({ name: 'NoSuchUpload' })
  expect(existsSync(join(dataFolder, 'escaped'))).toBe(false)
})

/** A presigned link without the SDK's presigner, which is not one of our dependencies. */
async function presigned(
  method: 'GET' | 'PUT',
  key: string,
  { signedAt = new Date(), expiresSeconds = 3600 } = {},
): Promise<{ readonly url: string; readonly presign: string }> {
  const { createHash, createHmac } = await import('node:crypto')
  const { endpoint, region, accessKeyId, secretAccessKey } = embedded.connection.s3
  const time = signedAt.toISOString().replace(/[-:]|\.\d+/g, '')
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`
  const query = [
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    `X-Amz-Credential=${encodeURIComponent(`${accessKeyId}/${scope}`)}`,
    `X-Amz-Date=${time}`,
    `X-Amz-Expires=${expiresSeconds}`,
    'X-Amz-SignedHeaders=host',
  ].join('&')
  const path = `/${Bucket}/${key}`
  const canonical = [
    method,
    path,
    query,
    `host:${new URL(endpoint).host}`,
    '',
    'host',
    'UNSIGNED-PAYLOAD',
  ].join('\n')
  const toSign = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(canonical).digest('hex')].join(
    '\n',
  )
  const keyOf = scope
    .split('/')
    .reduce<Buffer | string>(
      (secret, part) => createHmac('sha256', secret).update(part).digest(),
      `AWS4${secretAccessKey}`,
    )
  const presign = `${path}?${query}&X-Amz-Signature=${createHmac('sha256', keyOf).update(toSign).digest('hex')}`
  return { url: endpoint + presign, presign }
}

test('a conditional DELETE removes only this version, and reports a missing object', async () => {
  const { ETag = '' } = await put('conditional/delete', 'one')
  await put('conditional/delete', 'two')
  const remove = (IfMatch: string) =>
    s3.send(new DeleteObjectCommand({ Bucket, Key: 'conditional/delete', IfMatch }))
  await expect(remove(ETag)).rejects.toMatchObject({
    name: 'PreconditionFailed',
    $metadata: { httpStatusCode: 412 },
  })
  expect((await read('conditional/delete')).toString()).toBe('two')
  const { ETag: current = '' } = await s3.send(new HeadObjectCommand({ Bucket, Key: 'conditional/delete' }))
  expect((await remove(current)).$metadata.httpStatusCode).toBe(204)
  await expect(remove(current)).rejects.toMatchObject({
    name: 'NoSuchKey',
    $metadata: { httpStatusCode: 404 },
  })
})

test('a PUT that is concurrent with a conditional DELETE of the earlier version leaves the new version', async () => {
  for (let round = 0; round < 20; round++) {
    const { ETag = '' } = await put('conditional/race', `old ${round}`)
    const deletion = s3
      .send(new DeleteObjectCommand({ Bucket, Key: 'conditional/race', IfMatch: ETag }))
      .catch((error: Error) => error.name)
    await Promise.all([put('conditional/race', `new ${round}`), deletion])
    expect((await read('conditional/race')).toString()).toBe(`new ${round}`)
  }
})
