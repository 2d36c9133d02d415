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
    store: {
      ...config.store,
      endpoint: config.store.publicEndpoint ?? config.store.endpoint,
      sdkChecksums: 'WHEN_REQUIRED',
    },
  })

/**
 * An S3 client for the configured store; path-style addresses, since MinIO, Ceph and the embedded store want
 * them.
 */
export function createS3Client(config: Config): S3Client {
  return new S3Client({
    region: config.store.region,
    forcePathStyle: config.store.endpoint !== undefined,
    requestChecksumCalculation: config.store.sdkChecksums,
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 4,
    // A store that falls silent in the middle of an answer must not hold a function for ever.
    requestHandler: { connectionTimeout: 5_000, socketTimeout: 60_000 },
    ...(config.store.endpoint === undefined ? {} : { endpoint: config.store.endpoint }),
    ...(config.store.accessKeyId === undefined || config.store.secretAccessKey === undefined
      ? {}
      : {
          credentials: {
            accessKeyId: config.store.accessKeyId,
            secretAccessKey: config.store.secretAccessKey,
          },
        }),
  })
}
