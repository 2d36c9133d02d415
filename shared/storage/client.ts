/** The one place where an S3 client is made. */
import { S3Client } from '@aws-sdk/client-s3'
import type { Config } from '../config/config.ts'

/**
 * The same for links: it is never asked for anything but signatures. A checksum in a link for a PUT would be
 * that of no bytes.
 */
export const createPublicS3Client = (config: Config): S3Client =>
  createS3Client({
    ...config,
    CYGNET_S3_ENDPOINT: config.CYGNET_S3_PUBLIC_ENDPOINT ?? config.CYGNET_S3_ENDPOINT,
    CYGNET_S3_SDK_CHECKSUMS: 'WHEN_REQUIRED',
  })

/**
 * An S3 client for the configured store; path-style addresses, since MinIO, Ceph and the embedded store want
 * them.
 */
export function createS3Client(config: Config): S3Client {
  return new S3Client({
    region: config.CYGNET_S3_REGION,
    forcePathStyle: config.CYGNET_S3_ENDPOINT !== undefined,
    requestChecksumCalculation: config.CYGNET_S3_SDK_CHECKSUMS,
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 4,
    // A store that falls silent in the middle of an answer must not hold a function for ever.
    requestHandler: { connectionTimeout: 5_000, socketTimeout: 60_000 },
    ...(config.CYGNET_S3_ENDPOINT === undefined ? {} : { endpoint: config.CYGNET_S3_ENDPOINT }),
    ...(config.CYGNET_S3_ACCESS_KEY_ID === undefined || config.CYGNET_S3_SECRET_ACCESS_KEY === undefined
      ? {}
      : {
          credentials: {
            accessKeyId: config.CYGNET_S3_ACCESS_KEY_ID,
            secretAccessKey: config.CYGNET_S3_SECRET_ACCESS_KEY,
          },
        }),
  })
}
