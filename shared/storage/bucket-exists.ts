/** Whether "there is no such object" is the answer of the store, or of something else in its place. */
import { HeadBucketCommand, type S3Client } from '@aws-sdk/client-s3'
import { TransientError } from '../errors.ts'
import { bucketAnswer, parseAnswer } from './answers.ts'
import { statusOf } from './send-body.ts'

/**
 * When the account may not read the bucket's properties, or the bucket is in another region, it is taken to exist.
 * @throws TransientError when it is not known; what the SDK throws.
 */
export async function bucketExists(s3: S3Client, bucket: string, signal: AbortSignal): Promise<boolean> {
  try {
    const answer = await s3.send(new HeadBucketCommand({ Bucket: bucket }), { abortSignal: signal })
    parseAnswer(bucketAnswer, answer, `HEAD of the bucket ${bucket}`)
    return true
  } catch (error) {
    if (statusOf(error) === 404) return false
    if (statusOf(error) === 403 || statusOf(error) === 301) return true
    throw error
  }
}

/**
 * Called before an object counts as deleted or missing: a gateway without its store answers 404 to everything.
 * @throws TransientError when the bucket does not exist either.
 */
export async function assertBucketExists(s3: S3Client, bucket: string, signal: AbortSignal): Promise<void> {
  if (!(await bucketExists(s3, bucket, signal)))
    throw new TransientError(`the store has no bucket ${bucket}: is it the right store?`, {
      operator: true,
      error: 'NoSuchBucket',
    })
}

/** Whether this is the error of `assertBucketExists`. */
export const isNoBucket = (error: unknown): error is TransientError =>
  error instanceof TransientError && error.details.error === 'NoSuchBucket'
