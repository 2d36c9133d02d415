/** Presigned links: who holds one may fetch the object until it expires, without other credentials. */
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { ObjectName } from './objects.ts'

/** What S3's signature version 4 allows. */
export const LONGEST_LINK_SECONDS = 7 * 86_400

export interface Link {
  readonly url: string
  /** The truth: a link signed with credentials that end earlier ends with them. */
  readonly expiresAt: Date
}

export interface LinkOptions {
  readonly seconds: number
  readonly now: Date
  /** The name under which a browser saves it. */
  readonly fileName?: string
  readonly versionId?: string | null
}

/** A link to fetch an object. */
export async function presignGet(s3: S3Client, object: ObjectName, options: LinkOptions): Promise<Link> {
  const command = new GetObjectCommand({
    Bucket: object.bucket,
    Key: object.key,
    ...(options.versionId == null ? {} : { VersionId: options.versionId }),
    ...(options.fileName === undefined
      ? {}
      : { ResponseContentDisposition: `attachment; filename="${options.fileName.replaceAll(/[^\w.-]/g, '_')}"` }),
  })
  return await presign(s3, command, options)
}

/** A link to ask for the headers of an object: the method is part of the signature. */
export async function presignHead(s3: S3Client, object: ObjectName, options: Omit<LinkOptions, 'fileName'>): Promise<Link> {
  const command = new HeadObjectCommand({
    Bucket: object.bucket,
    Key: object.key,
    ...(options.versionId == null ? {} : { VersionId: options.versionId }),
  })
  return await presign(s3, command, options)
}

/** A link by which one PUT stores an object. */
export async function presignPut(s3: S3Client, object: ObjectName, options: Omit<LinkOptions, 'fileName' | 'versionId'>): Promise<Link> {
  return await presign(s3, new PutObjectCommand({ Bucket: object.bucket, Key: object.key }), options)
}

type Command = GetObjectCommand | HeadObjectCommand | PutObjectCommand

async function presign(s3: S3Client, command: Command, { seconds, now }: LinkOptions): Promise<Link> {
  const { expiration } = await s3.config.credentials()
  const untilCredentialsEnd =
    expiration === undefined ? Number.POSITIVE_INFINITY : Math.floor((expiration.getTime() - now.getTime()) / 1000)
  const expiresIn = Math.max(1, Math.min(seconds, LONGEST_LINK_SECONDS, untilCredentialsEnd))
  const url = await getSignedUrl(s3, command, { expiresIn, signingDate: now })
  return { url, expiresAt: new Date(now.getTime() + expiresIn * 1000) }
}
