/** The buckets of a development store. */
import { CreateBucketCommand, ListBucketsCommand, S3Client } from '@aws-sdk/client-s3'

/** The address of a store, and the keys of a user. */
export interface S3Access {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** Creates the buckets that are missing. */
export async function createBuckets(
  s3: S3Access,
  buckets: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const client = new S3Client({
    endpoint: s3.endpoint,
    region: s3.region,
    credentials: s3,
    forcePathStyle: true,
  })
  const abort = signal === undefined ? {} : { abortSignal: signal }
  try {
    const { Buckets: existing = [] } = await client.send(new ListBucketsCommand({}), abort)
    for (const Bucket of buckets)
      if (!existing.some(({ Name }) => Name === Bucket))
        await client.send(new CreateBucketCommand({ Bucket }), abort)
  } finally {
    client.destroy()
  }
}
