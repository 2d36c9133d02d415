/**
 * Real answers of a store of which each field is dropped, doubled, reordered or replaced on the way: what is
 * concluded is right, or nothing is.
 */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { queueArn } from '../../../infra/local/services/embedded/embedded.ts'
import { loadConfig } from '../../../shared/config/config.ts'
import { classify, TransientError } from '../../../shared/errors.ts'
import type { ObjectVersion } from '../../../shared/run.ts'
import { bucketExists } from '../../../shared/storage/bucket-exists.ts'
import {
  applyBucketNotifications,
  type NotificationRule,
  planBucketNotifications,
  readBucketNotifications,
} from '../../../shared/storage/bucket-notifications.ts'
import { createS3Client, sdkChecksumsOf } from '../../../shared/storage/client.ts'
import { deleteObject, findVersion } from '../../../shared/storage/delete-object.ts'
import { createMultipart, listParts, listUploads, sendPart } from '../../../shared/storage/multipart.ts'
import { describeObject, listObjects, readObject } from '../../../shared/storage/objects.ts'
import { confirmSize } from '../../../shared/storage/size-and-date.ts'
import { type AlteringProxy, startAlteringProxy, unaltered } from '../../support/altering-proxy.ts'
import { signal, startTestContext, type TestContext } from '../../support/context.ts'

const BODY = Buffer.from('the bytes of a run')
const MD5 = createHash('md5').update(BODY).digest('hex')

let context: TestContext
let proxy: AlteringProxy
let s3: ReturnType<typeof createS3Client>
beforeAll(async () => {
  context = await startTestContext()
  const { environment } = context.store
  proxy = await startAlteringProxy(String(environment.CYGNET_S3_ENDPOINT))
  s3 = createS3Client(
    loadConfig({ ...environment, CYGNET_DATABASE_URL: 'mysql://x@y/z', CYGNET_S3_ENDPOINT: proxy.origin }),
  )
  s3.config.maxAttempts = async () => 1
  for (const key of ['P/a', 'P/b', 'P/c', 'P/d', 'P/e']) await context.put(key, BODY, { md5: MD5 })
})
afterAll(async () => {
  s3.destroy()
  await proxy.close()
  await context.close()
})
beforeEach(() => {
  proxy.alter = unaltered
})

const named = (key: string) => ({ bucket: context.bucket, key })
const described = async (key = 'P/a') => {
  const object = await describeObject(s3, named(key), signal)
  if (object === null) throw new Error(`there is no ${key}`)
  return object
}
const identityOf = ({ key, etag, sizeBytes, lastModified }: ObjectVersion) =>
  [key, etag, sizeBytes, Math.floor((lastModified?.getTime() ?? Number.NaN) / 1000)].join(' ')
const contentOf = async (object: ObjectVersion) =>
  Buffer.concat(await Array.fromAsync(readObject(s3, object, signal)))

/** The right result, or an error that is retried and states the reason: nothing else. */
async function expectRightOrRefused<T>(expected: T, ask: () => Promise<T>) {
  const result = await ask().then(
    (value) => ({ value }),
    (error: unknown) => ({ error: classify(error) }),
  )
  if ('value' in result) expect(result.value).toEqual(expected)
  else expect(result.error.message).toMatch(/\w+ \w+/)
}

describe('a description of an object', () => {
  const HEADERS = ['etag', 'content-length', 'last-modified', 'x-amz-meta-md5', 'content-type'] as const
  const MUTATIONS: readonly (readonly [string, (value: string) => string | string[] | undefined])[] = [
    ['is missing', () => undefined],
    ['is empty', () => ''],
    ['is another type', () => 'x'],
    ['is doubled', (value) => [value, value]],
    ['is in other letters', (value) => value.toUpperCase()],
    ['is weak', (value) => `W/${value}`],
    ['is not quoted', (value) => value.replaceAll('"', '')],
  ]
  test.each(HEADERS.flatMap((header) => MUTATIONS.map(([how, mutate]) => ({ header, how, mutate }))))(
    'of which the header $header $how is right or refused',
    async ({ header, how, mutate }) => {
      const right = await described()
      if (header === 'etag' && how === 'is another type') return // any text is an ETag
      proxy.alter = (answer, { method }) => {
        if (method === 'HEAD') answer.headers[header] = mutate(String(answer.headers[header])) as never
      }
      await expectRightOrRefused(identityOf(right), async () => identityOf(await described()))
      const stated = await described().catch(() => null)
      for (const statement of stated?.stated ?? []) expect(right.stated).toContainEqual(statement)
    },
  )

  test.each([
    ['listing', (method: string, isListing: boolean) => method === 'GET' && !isListing],
    ['GET', (_: string, isListing: boolean) => isListing],
  ])('without size and date takes them from the %s', async (_, isRefused) => {
    const right = await described()
    proxy.alter = (answer, { method, url }) => {
      if (method === 'HEAD') answer.headers = { etag: answer.headers.etag }
      if (isRefused(method, url.searchParams.has('list-type'))) {
        answer.status = 403
        answer.body = Buffer.from('')
      }
    }
    expect(identityOf(await described())).toBe(identityOf(right))
  })

  test('is refused when nobody states the size', async () => {
    proxy.alter = (answer, { method }) => {
      if (method === 'HEAD') delete answer.headers['content-length']
      else Object.assign(answer, { status: 403, body: Buffer.from('') })
    }
    await expect(described()).rejects.toThrow(/does not state the size of .*P\/a/)
  })

  test('with a wrong size is not confirmed by the listing, and its bytes are refused', async () => {
    const right = await described()
    expect(await confirmSize(s3, right, signal)).toBe(true)
    for (const sizeBytes of [0, right.sizeBytes - 1, right.sizeBytes + 1]) {
      expect(await confirmSize(s3, { ...right, sizeBytes }, signal)).toBe(false)
      await expect(contentOf({ ...right, sizeBytes })).rejects.toThrow()
    }
  })
})

describe('a listing', () => {
  const FIELDS = ['Key', 'ETag', 'Size', 'LastModified', 'IsTruncated', 'KeyCount', 'NextContinuationToken']
  const first = (field: string) => new RegExp(`<${field}>([^<]*)</${field}>`)
  const MUTATIONS: readonly (readonly [string, (xml: string, field: string) => string])[] = [
    ['is missing', (xml, field) => xml.replace(first(field), '')],
    ['is missing everywhere', (xml, field) => xml.replaceAll(new RegExp(first(field), 'g'), '')],
    ['is empty', (xml, field) => xml.replace(first(field), `<${field}></${field}>`)],
    ['is doubled', (xml, field) => xml.replace(first(field), '$&$&')],
    ['is another type', (xml, field) => xml.replace(first(field), `<${field}>x</${field}>`)],
  ]
  const all = async () => {
    const found: string[] = []
    let startAfter: string | null = null
    for (let pages = 0; pages < 20; pages++) {
      const where = { bucket: context.bucket, prefix: 'P/', startAfter, pageSize: 2 }
      const page: Awaited<ReturnType<typeof listObjects>> = await listObjects(s3, where, signal)
      found.push(...page.objects.map(identityOf))
      if (page.last === null) return [...new Set(found)]
      startAfter = page.last
    }
    throw new TransientError('the listing has no end')
  }
  const isListing = (url: URL) => url.searchParams.has('list-type')

  test.each(FIELDS.flatMap((field) => MUTATIONS.map(([how, mutate]) => ({ field, how, mutate }))))(
    'of which $field $how is right or refused',
    async ({ field, how, mutate }) => {
      const right = await all()
      expect(right).toHaveLength(5)
      if (how === 'is another type' && ['Key', 'ETag'].includes(field)) return // any text is one
      proxy.alter = (answer, { url }) => {
        if (isListing(url)) answer.body = Buffer.from(mutate(String(answer.body), field))
        delete answer.headers['content-length']
      }
      await expectRightOrRefused(right, all)
    },
  )

  test('in another order, or with entries twice, is complete', async () => {
    const right = await all()
    const entries = /<Contents>.*<\/Contents>/s
    for (const change of [
      (text: string) =>
        text
          .split(/(?<=<\/Contents>)/)
          .toReversed()
          .join(''),
      (text: string) => text + text,
    ]) {
      proxy.alter = (answer, { url }) => {
        if (isListing(url)) answer.body = Buffer.from(String(answer.body).replace(entries, change))
      }
      expect(await all()).toEqual(right)
    }
  })

  test('of which entries are missing is refused', async () => {
    proxy.alter = (answer, { url }) => {
      if (isListing(url))
        answer.body = Buffer.from(String(answer.body).replace(/<Contents>.*<\/Contents>/s, ''))
    }
    await expect(all()).rejects.toThrow('has no valid Contents')
  })
})

describe('the bytes of an object', () => {
  test('of another version are not used when the store ignores If-Match', async () => {
    const object = await described()
    proxy.alter = (answer) => {
      answer.headers.etag = `"${'0'.repeat(32)}"`
    }
    await expect(contentOf(object)).rejects.toThrow('changed while it was read')
  })

  test('without any other header are read', async () => {
    const object = await described()
    proxy.alter = (answer, { method }) => {
      if (method === 'GET') answer.headers = {}
    }
    expect(await contentOf(object)).toEqual(BODY)
  })
})

describe('before a deletion', () => {
  test('an object without an ETag in the answer is neither the one nor another', async () => {
    const object = await described()
    proxy.alter = (answer) => {
      delete answer.headers.etag
    }
    await expect(findVersion(s3, object, signal)).rejects.toThrow('does not state the ETag')
  })

  test('ETags in another form are the same', async () => {
    const object = await described()
    proxy.alter = (answer) => {
      answer.headers.etag = `W/${String(answer.headers.etag).toUpperCase()}`
    }
    expect(await findVersion(s3, object, signal)).toBe('there')
    expect((await deleteObject(s3, { ...object, etag: 'f'.repeat(32) }, signal)).kind).toBe('changed')
  })
})

describe('the parts of an upload', () => {
  test.each(['PartNumber', 'ETag', 'Size'])('without %s are refused', async (field) => {
    const upload = await createMultipart(s3, { ...named('P/parts'), metadata: {}, replace: true }, signal)
    const body = {
      sizeBytes: BODY.length,
      md5: MD5,
      open: async function* () {
        yield BODY
      },
    }
    await sendPart(s3, upload, 1, body, signal)
    proxy.alter = (answer) => {
      answer.body = Buffer.from(String(answer.body).replace(new RegExp(`<${field}>[^<]*</${field}>`), ''))
    }
    await expect(listParts(s3, upload, signal)).rejects.toThrow(`has no valid Parts.0.${field}`)
  })

  test('of an upload whose beginning is not stated are not taken for old ones', async () => {
    await createMultipart(s3, { ...named('P/begun'), metadata: {}, replace: true }, signal)
    proxy.alter = (answer) => {
      answer.body = Buffer.from(String(answer.body).replace(/<Initiated>[^<]*<\/Initiated>/, ''))
    }
    expect(await listUploads(s3, named('P/begun'), signal)).toMatchObject([{ initiated: null }])
  })
})

describe('the notifications of a bucket', () => {
  const FIELDS = ['Id', 'Queue', 'Event', 'Name', 'Value'] as const
  const first = (field: string) => new RegExp(`<${field}>([^<]*)</${field}>`)
  const MUTATIONS: readonly (readonly [string, (xml: string, field: string) => string])[] = [
    ['is missing', (xml, field) => xml.replace(first(field), '')],
    ['is missing everywhere', (xml, field) => xml.replaceAll(new RegExp(first(field), 'g'), '')],
    ['is empty', (xml, field) => xml.replace(first(field), `<${field}></${field}>`)],
    ['is doubled', (xml, field) => xml.replace(first(field), '$&$&')],
    ['is another type', (xml, field) => xml.replace(first(field), `<${field}><x>1</x></${field}>`)],
  ]
  const wanted = () => ({ bucket: context.bucket, arn: queueArn('runs'), prefixes: ['LNGS/', 'LNF/'] })
  const targetOf = ({ arn, prefix, suffix }: NotificationRule) => [arn, prefix, suffix]
  const isConfiguration = (url: URL) => url.searchParams.has('notification')
  beforeAll(() => applyBucketNotifications(s3, wanted(), signal))

  test.each(FIELDS.flatMap((field) => MUTATIONS.map(([how, mutate]) => ({ field, how, mutate }))))(
    'of which $field $how is right or refused, and no rule is set twice',
    async ({ field, how, mutate }) => {
      const right = await readBucketNotifications(s3, context.bucket, signal)
      expect(right).toHaveLength(2)
      proxy.alter = (answer, { url, method }) => {
        if (method === 'GET' && isConfiguration(url))
          answer.body = Buffer.from(mutate(String(answer.body), field))
        delete answer.headers['content-length']
      }
      const read = await readBucketNotifications(s3, context.bucket, signal).catch(() => right)
      // An empty value is a value.
      if (field !== 'Value' || how !== 'is empty') expect(read.map(targetOf)).toEqual(right.map(targetOf))
      await expectRightOrRefused(right.map(targetOf), async () =>
        (await planBucketNotifications(s3, wanted(), signal)).after.map(targetOf),
      )
    },
  )
})

describe('whether a bucket exists', () => {
  test.each([
    [200, true],
    [403, true],
    [404, false],
  ])('is known from the status %i, whatever else is stated', async (status, exists) => {
    proxy.alter = (answer, { method }) => {
      if (method === 'HEAD') Object.assign(answer, { status, headers: {}, body: Buffer.from('') })
    }
    expect(await bucketExists(s3, context.bucket, signal)).toBe(exists)
  })

  test.each([202, 204, 400, 500, 503])('is not known from the status %i', async (status) => {
    proxy.alter = (answer, { method }) => {
      if (method === 'HEAD') Object.assign(answer, { status, headers: {}, body: Buffer.from('') })
    }
    await expect(bucketExists(s3, context.bucket, signal)).rejects.toThrow()
  })
})

describe('an error of the store', () => {
  test('names the operation, the object and the status, also when the store states no reason', async () => {
    proxy.alter = (answer) => {
      answer.status = 411
    }
    const error = classify(await described().catch((thrown) => thrown))
    expect(error.message).toContain(`HeadObject of ${context.bucket}/P/a: the store answered with status 411`)
  })
})

test.each([
  ['AWS', {}, 'WHEN_SUPPORTED'],
  ['AWS by its address', { CYGNET_S3_ENDPOINT: 'https://s3.eu-south-1.amazonaws.com' }, 'WHEN_SUPPORTED'],
  ['another store', { CYGNET_S3_ENDPOINT: 'https://s3.example.org' }, 'WHEN_REQUIRED'],
  [
    'a store for which it is configured',
    { CYGNET_S3_ENDPOINT: 'https://s3.example.org', CYGNET_S3_SDK_CHECKSUMS: 'WHEN_SUPPORTED' },
    'WHEN_SUPPORTED',
  ],
])('uploads to %s have the checksums of the SDK that it is known to accept', (_, environment, checksums) => {
  const config = loadConfig({ CYGNET_DATABASE_URL: 'mysql://x@y/z', ...environment })
  expect(sdkChecksumsOf(config)).toBe(checksums)
})
