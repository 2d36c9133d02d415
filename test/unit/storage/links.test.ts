/** A link is what the SDK makes of the same command, whatever the key, the bucket and the kind of store. */
import { GetObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { presignGet } from '../../../shared/storage/links.ts'

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI' }
const NOW = new Date('2026-01-15T08:00:00Z')

const STORES: readonly (readonly [string, S3ClientConfig])[] = [
  [
    'a store behind a path and a port',
    { endpoint: 'https://s3.example.org:9000/base', forcePathStyle: true, region: 'us-east-1' },
  ],
  ['a store on this machine', { endpoint: 'http://127.0.0.1:9000', forcePathStyle: true, region: 'garage' }],
  ['AWS', { region: 'eu-south-1' }],
  ['AWS over both families', { region: 'eu-central-1', useDualstackEndpoint: true }],
  [
    'credentials with a session',
    { region: 'eu-south-1', credentials: { ...credentials, sessionToken: 'a+token/with=signs' } },
  ],
]

describe('a link', () => {
  test.each(STORES)('to %s is that of the SDK', async (_, config) => {
    const s3 = new S3Client({
      credentials,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      ...config,
    })
    const wanted = fc.record({
      bucket: fc.constantFrom('cygno-data', 'cygno.data', 'events'),
      key: fc
        .string({ unit: 'binary', minLength: 1, maxLength: 40 })
        .filter((key) => !/(?:^|\/)\.{1,2}(?:\/|$)/.test(key)),
      versionId: fc.option(fc.string({ minLength: 1 })),
      fileName: fc.option(fc.stringMatching(/^[\w.-]+$/), { nil: undefined }),
      seconds: fc.integer({ min: 1, max: 604_800 }),
    })
    await fc.assert(
      fc.asyncProperty(wanted, async ({ bucket, key, versionId, fileName, seconds }) => {
        const link = await presignGet(
          s3,
          { bucket, key },
          { seconds, now: NOW, versionId, ...(fileName === undefined ? {} : { fileName }) },
        )
        const command = new GetObjectCommand({
          Bucket: bucket,
          Key: key,
          ResponseContentEncoding: 'identity',
          ...(versionId === null ? {} : { VersionId: versionId }),
          ...(fileName === undefined
            ? {}
            : { ResponseContentDisposition: `attachment; filename="${fileName}"` }),
        })
        expect(link.url).toBe(await getSignedUrl(s3, command, { expiresIn: seconds, signingDate: NOW }))
        expect(link.expiresAt).toEqual(new Date(NOW.getTime() + seconds * 1000))
      }),
      { numRuns: 60 },
    )
  })

  test('states its actual end, which is that of the credentials that signed it', async () => {
    const expiration = new Date(NOW.getTime() + 90_500)
    const s3 = new S3Client({ region: 'eu-south-1', credentials: { ...credentials, expiration } })
    const link = await presignGet(s3, { bucket: 'b', key: 'k' }, { seconds: 3600, now: NOW })
    expect(link.expiresAt).toEqual(new Date(NOW.getTime() + 90_000))
    expect(new URL(link.url).searchParams.get('X-Amz-Expires')).toBe('90')
  })
})
