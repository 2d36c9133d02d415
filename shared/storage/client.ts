/** The one place where S3 clients are created. */
import { type NotificationConfiguration, S3Client } from '@aws-sdk/client-s3'
import type { Config } from '../config/config.ts'
import { nameRequest } from '../errors.ts'

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
 * require. Its errors name the request; the bytes of its answers are not compressed for the transfer.
 */
export function createS3Client(config: Config): S3Client {
  const s3 = new S3Client({
    region: config.store.region,
    forcePathStyle: config.store.endpoint !== undefined,
    requestChecksumCalculation: sdkChecksumsOf(config),
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
  nameRequests(s3)
  refuseCompression(s3)
  return s3
}

/** Only AWS is known to take the trailers of streamed uploads: Ceph 16 answers them with 411. */
export const sdkChecksumsOf = ({ store: { endpoint, sdkChecksums } }: Config) =>
  sdkChecksums ?? (endpoint === undefined || isAws(endpoint) ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED')

const isAws = (endpoint: string) => /\.amazonaws\.com(?:\.cn)?$/.test(new URL(endpoint).hostname)

function nameRequests(s3: S3Client): void {
  s3.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        try {
          return await next(args)
        } catch (error) {
          nameRequest(error, `${commandName?.replace(/Command$/, '')} of ${targetOf(args.input as Target)}`)
          throw error
        }
      },
    { step: 'initialize', priority: 'high', name: 'nameRequests' },
  )
}

interface Target {
  readonly Bucket?: string
  readonly Key?: string
  readonly NotificationConfiguration?: NotificationConfiguration
}

/** Bucket and key, or bucket and the topics to which it is to send notifications. */
function targetOf({ Bucket = 'the store', Key, NotificationConfiguration }: Target): string {
  const topics = NotificationConfiguration?.TopicConfigurations?.map(({ TopicArn }) => TopicArn) ?? []
  return [Key === undefined ? Bucket : `${Bucket}/${Key}`, ...topics].join(' to ')
}

/** A proxy that compresses would omit the size of the object. Not signed, since proxies change this header. */
function refuseCompression(s3: S3Client): void {
  s3.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as { readonly headers: Readonly<Record<string, string>> }
      const headers = { ...request.headers, 'accept-encoding': 'identity' }
      return await next({ ...args, request: { ...request, headers } })
    },
    { step: 'deserialize', priority: 'low', name: 'refuseCompression' },
  )
}
