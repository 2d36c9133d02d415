/** Presigned links: anyone with a link may fetch the object until it expires, without other credentials. */
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { SignatureV4 } from '@smithy/signature-v4'
import type { ObjectName } from '../run.ts'

/** The limit of S3's signature version 4. */
export const LONGEST_LINK_SECONDS = 7 * 86_400

export interface Link {
  readonly url: string
  /** The actual end: a link signed with temporary credentials ends with them. */
  readonly expiresAt: Date
}

export interface LinkOptions {
  readonly seconds: number
  readonly now: Date
  /** The file name in a browser's download. */
  readonly fileName?: string
  readonly versionId?: string | null
}

/** A link to fetch an object. */
export async function presignGet(s3: S3Client, object: ObjectName, options: LinkOptions): Promise<Link> {
  const { origin, path, signer } = await placeOf(s3, object.bucket)
  const { seconds, expiresAt } = await validity(s3, options)
  const name = options.fileName?.replaceAll(/[^\w.-]/g, '_')
  const request = {
    method: 'GET',
    protocol: origin.protocol,
    hostname: origin.hostname,
    path: path + object.key.split('/').map(escaped).join('/'),
    headers: { host: origin.host, 'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD' },
    query: {
      'x-id': 'GetObject',
      // Else browsers and many programs decompress an object that was stored with a Content-Encoding.
      'response-content-encoding': 'identity',
      ...(options.versionId == null ? {} : { versionId: options.versionId }),
      ...(name === undefined ? {} : { 'response-content-disposition': `attachment; filename="${name}"` }),
    },
  }
  const signed = await signer.presign(request, { expiresIn: seconds, signingDate: options.now })
  const query = Object.entries(signed.query ?? {}).map(
    ([parameter, value]) => `${escaped(parameter)}=${escaped(String(value))}`,
  )
  return { url: `${origin.origin}${signed.path}?${query.toSorted().join('&')}`, expiresAt }
}

/**
 * As required by signature version 4: RFC 3986, all bytes but letters, digits, `-`, `.`, `_` and `~` are
 * escaped.
 */
const escaped = (text: string) =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
  )

/** Location of a bucket's objects. */
interface Place {
  readonly origin: URL
  /** Path before the key. */
  readonly path: string
  readonly signer: SignatureV4
}

const places = new WeakMap<S3Client, Map<string, Promise<Place>>>()

/**
 * Determined by the SDK's own rules (path or host, region, dualstack) from a sample link, once per bucket:
 * this is most of the work of a link, and analysts request a thousand at a time.
 */
function placeOf(s3: S3Client, bucket: string): Promise<Place> {
  const known = places.get(s3) ?? new Map<string, Promise<Place>>()
  places.set(s3, known)
  const place = known.get(bucket) ?? resolvePlace(s3, bucket)
  known.set(bucket, place)
  place.catch(() => known.delete(bucket))
  return place
}

async function resolvePlace(s3: S3Client, bucket: string): Promise<Place> {
  const key = 'key'
  const sample = new URL(await getSignedUrl(s3, new GetObjectCommand({ Bucket: bucket, Key: key })))
  const [, , region = ''] = sample.searchParams.get('X-Amz-Credential')?.split('/') ?? []
  const { credentials, sha256 } = s3.config
  const signer = new SignatureV4({ service: 's3', region, credentials, sha256, uriEscapePath: false })
  return { origin: new URL(sample.origin), path: sample.pathname.slice(0, -key.length), signer }
}

/** A link to fetch the headers of an object: the method is part of the signature. */
export async function presignHead(
  s3: S3Client,
  object: ObjectName,
  options: Omit<LinkOptions, 'fileName'>,
): Promise<Link> {
  const command = new HeadObjectCommand({
    Bucket: object.bucket,
    Key: object.key,
    ...(options.versionId == null ? {} : { VersionId: options.versionId }),
  })
  return await presign(s3, command, options)
}

/** A link that allows one PUT of an object. */
export async function presignPut(
  s3: S3Client,
  object: ObjectName,
  options: Omit<LinkOptions, 'fileName' | 'versionId'>,
): Promise<Link> {
  return await presign(s3, new PutObjectCommand({ Bucket: object.bucket, Key: object.key }), options)
}

type Command = HeadObjectCommand | PutObjectCommand

async function presign(
  s3: S3Client,
  command: Command,
  options: Pick<LinkOptions, 'seconds' | 'now'>,
): Promise<Link> {
  const { seconds, expiresAt } = await validity(s3, options)
  return { url: await getSignedUrl(s3, command, { expiresIn: seconds, signingDate: options.now }), expiresAt }
}

async function validity(s3: S3Client, { seconds, now }: Pick<LinkOptions, 'seconds' | 'now'>) {
  const { expiration } = await s3.config.credentials()
  // X-Amz-Date has whole seconds: the validity begins with the current second.
  const signedAtMs = Math.floor(now.getTime() / 1000) * 1000
  const untilCredentialsEnd =
    expiration === undefined
      ? Number.POSITIVE_INFINITY
      : Math.floor((expiration.getTime() - signedAtMs) / 1000)
  const valid = Math.max(1, Math.min(seconds, LONGEST_LINK_SECONDS, untilCredentialsEnd))
  return { seconds: valid, expiresAt: new Date(signedAtMs + valid * 1000) }
}
