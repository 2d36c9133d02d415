/** Whether the store has a bucket. */
import { HeadBucketCommand, type S3Client } from '@aws-sdk/client-s3'
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
