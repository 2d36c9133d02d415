import type { IncomingMessage } from 'node:http'
import { S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { ObjectVersion } from '../../../shared/run.ts'
import { deleteObject, findVersion, hasOtherVersions } from '../../../shared/storage/delete-object.ts'
import { describeObject, listObjects } from '../../../shared/storage/objects.ts'
import { signal, startTestContext, type TestContext } from '../../support/context.ts'
import { startHttpServer } from '../../support/http-server.ts'

let context: TestContext
beforeAll(async () => {
  context = await startTestContext()
})
afterAll(() => context.close())

async function stored(key: string, body: string): Promise<ObjectVersion> {
  await context.put(key, body)
  const object = await describeObject(context.s3, { bucket: context.bucket, key }, signal)
  if (object === null) throw new Error('it is not there')
  return object
}

describe('on a store that knows conditional deletion', () => {
  test('this version is deleted', async () => {
    const version = await stored('a', 'one')
    expect(await deleteObject(context.s3, version, signal)).toEqual({ kind: 'deleted', marked: false })
    expect(await findVersion(context.s3, version, signal)).toBe('absent')
  })

  test('another version under the key is not', async () => {
    const version = await stored('b', 'one')
    await context.put('b', 'two')
    expect(await deleteObject(context.s3, version, signal)).toEqual({ kind: 'changed' })
    expect(await findVersion(context.s3, version, signal)).toBe('other')
  })

  test('a missing object is not an error', async () => {
    const version = await stored('c', 'one')
    await deleteObject(context.s3, version, signal)
    expect(await deleteObject(context.s3, version, signal)).toEqual({ kind: 'absent' })
  })

  test('a version as a listing gives it is deleted, too', async () => {
    await context.put('d', 'one')
    const { objects } = await listObjects(
      context.s3,
      { bucket: context.bucket, prefix: 'd', startAfter: null },
      signal,
    )
    expect(await deleteObject(context.s3, objects[0] as ObjectVersion, signal)).toMatchObject({
      kind: 'deleted',
    })
  })

  test('a missing bucket is an error, not a missing object', async () => {
    const version = { ...(await stored('e', 'one')), bucket: 'no-such-bucket' }
    await expect(deleteObject(context.s3, version, signal)).rejects.toMatchObject({ name: 'NoSuchBucket' })
  })
})

test('a version that nothing identifies is not deleted', async () => {
  const version = { ...(await stored('f', 'one')), etag: '' }
  await expect(deleteObject(context.s3, version, signal)).rejects.toMatchObject({ name: 'InvalidInputError' })
  expect(await findVersion(context.s3, version, signal)).toBe('other')
})

/** A store that answers what a test wants, and remembers what it was asked. */
async function recordingStore(answer: {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: string
}) {
  const requests: IncomingMessage[] = []
  const server = await startHttpServer((request, response) => {
    requests.push(request)
    response
      .writeHead(answer.status, { 'content-type': 'application/xml', ...answer.headers })
      .end(answer.body)
  })
  onTestFinished(() => server.close())
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
  const s3 = new S3Client({
    endpoint: server.origin,
    region: 'r',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials,
  })
  onTestFinished(() => s3.destroy())
  return { s3, requests }
}

const VERSION: ObjectVersion = {
  bucket: 'cygno-data',
  key: 'LNGS/run00001.mid.gz',
  etag: 'd41d8cd98f00b204e9800998ecf8427e',
  versionId: null,
  sizeBytes: 1,
  lastModified: new Date('2026-01-15T08:00:00.750Z'),
}
const error = (code: string) =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`

describe('the request', () => {
  test('carries both conditions, signed: the ETag, and for Ceph before 20 the date', async () => {
    const { s3, requests } = await recordingStore({ status: 204 })
    await deleteObject(s3, VERSION, signal)
    expect(requests[0]?.method).toBe('DELETE')
    expect(requests[0]?.url).toBe('/cygno-data/LNGS/run00001.mid.gz?x-id=DeleteObject')
    expect(requests[0]?.headers['if-match']).toBe(`"${VERSION.etag}"`)
    expect(requests[0]?.headers['x-amz-delete-if-unmodified-since']).toBe('2026-01-15T08:00:00Z')
    expect(requests[0]?.headers.authorization).toContain('x-amz-delete-if-unmodified-since')
  })

  test('names the version where there is one, and nothing else: AWS refuses both at once', async () => {
    const { s3, requests } = await recordingStore({ status: 204 })
    expect(await deleteObject(s3, { ...VERSION, versionId: 'v7' }, signal)).toEqual({
      kind: 'deleted',
      marked: false,
    })
    expect(requests[0]?.url).toContain('versionId=v7')
    expect(requests[0]?.headers['if-match']).toBeUndefined()
    expect(requests[0]?.headers['x-amz-delete-if-unmodified-since']).toBeUndefined()
  })

  test('goes to AWS without the header of Ceph', async () => {
    const s3 = new S3Client({ region: 'eu-south-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } })
    let headers: Record<string, string> = {}
    s3.middlewareStack.add(
      () => async (args) => {
        headers = (args.request as { headers: Record<string, string> }).headers
        return { response: {}, output: { $metadata: {} } } as never
      },
      { step: 'finalizeRequest', priority: 'low' },
    )
    await deleteObject(s3, VERSION, signal)
    expect(headers['if-match']).toBe(`"${VERSION.etag}"`)
    expect(headers['x-amz-delete-if-unmodified-since']).toBeUndefined()
    s3.destroy()
  })
})

describe('an answer', () => {
  test.each([
    [412, 'PreconditionFailed', { kind: 'changed' }],
    [409, 'ConditionalRequestConflict', { kind: 'changed' }],
    [404, 'NoSuchKey', { kind: 'absent' }],
  ])('%i %s is an outcome', async (status, code, outcome) => {
    const { s3 } = await recordingStore({ status, body: error(code) })
    expect(await deleteObject(s3, VERSION, signal)).toEqual(outcome)
  })

  test.each([
    [501, 'NotImplemented'],
    [403, 'AccessDenied'],
    [503, 'SlowDown'],
  ])('%i %s is thrown: nothing is deleted in another way', async (status, code) => {
    const { s3, requests } = await recordingStore({ status, body: error(code) })
    await expect(deleteObject(s3, VERSION, signal)).rejects.toMatchObject({ name: code })
    expect(requests).toHaveLength(1)
  })

  test('with a delete marker reports that the bytes still exist', async () => {
    const { s3 } = await recordingStore({
      status: 204,
      headers: { 'x-amz-delete-marker': 'true', 'x-amz-version-id': 'm' },
    })
    expect(await deleteObject(s3, VERSION, signal)).toEqual({ kind: 'deleted', marked: true })
  })
})

test('other versions of the very key are found, not those of longer keys, nor delete markers', async () => {
  const entry = (kind: string, key: string, id: string) =>
    `<${kind}><Key>${key}</Key><VersionId>${id}</VersionId></${kind}>`
  const listing = (...entries: string[]) =>
    `<?xml version="1.0"?><ListVersionsResult>${entries.join('')}</ListVersionsResult>`
  const version = { ...VERSION, versionId: 'v2' }
  const own = [
    entry('Version', VERSION.key, 'v2'),
    entry('DeleteMarker', VERSION.key, 'm'),
    entry('Version', `${VERSION.key}.bak`, 'v1'),
  ]
  const alone = await recordingStore({ status: 200, body: listing(...own) })
  expect(await hasOtherVersions(alone.s3, version, signal)).toBe(false)
  const more = await recordingStore({
    status: 200,
    body: listing(...own, entry('Version', VERSION.key, 'null')),
  })
  expect(await hasOtherVersions(more.s3, version, signal)).toBe(true)
})
