/** The one place where S3 clients are created. */
import { S3Client } from '@aws-sdk/client-s3'
import type { Config } from '../config/config.ts'

/**
 * The client that signs links; it sends no requests. Without automatic checksums: one in a link for a PUT
 * would be that of an empty body.
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
 * An S3 client for the configured store, with path-style addresses, as MinIO, Ceph and the embedded store
 * require.
 */
export function createS3Client(config: Config): S3Client {
  return new S3Client({
    region: config.store.region,
    forcePathStyle: config.store.endpoint !== undefined,
    requestChecksumCalculation: config.store.sdkChecksums,
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 4,
    // A store that stops sending in the middle of an answer must not block a function forever.
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
