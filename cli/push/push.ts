/** Pushes files into a bucket one after the other, several parts of a file at the same time. */
import type { S3Client } from '@aws-sdk/client-s3'
import type { Config } from '../../shared/config/config.ts'
import { createS3Client } from '../../shared/storage/client.ts'
import { type Place, planFiles } from './plan.ts'
import { type PushContext, type PushOptions, pushFile } from './push-file.ts'
import { type PushResult, resultOf } from './result.ts'

export interface PushRequest extends PushOptions {
  readonly files: readonly string[]
  readonly bucket: string
  readonly place: Place
  /** Also send files whose names are not those of runs. */
  readonly anyName: boolean
}

/**
 * Yields the result of each file, in the given order, as soon as it is known. An error of one file is in its
 * result, not thrown.
 */
export async function* pushFiles(request: PushRequest, context: PushContext): AsyncGenerator<PushResult> {
  for (const { file, key, refusal } of planFiles(request.files, request.place, request.anyName)) {
    if (refusal !== null)
      yield resultOf(file, { bucket: request.bucket, key }, { state: 'refused', error: refusal })
    else if (context.signal.aborted)
      yield resultOf(file, { bucket: request.bucket, key }, { error: 'interrupted before this file' })
    else yield await pushFile(file, { bucket: request.bucket, key }, request, context)
  }
}

/**
 * A client for uploads. Content-MD5 already protects every body, so the SDK adds no checksum of its own: its
 * default gives composite checksums, which are not those of the whole content, and trailers, which some stores
 * refuse.
 */
export function createPushClient(config: Config): S3Client {
  const s3 = createS3Client({ ...config, store: { ...config.store, sdkChecksums: 'WHEN_REQUIRED' } })
  const silent = () => {}
  // Otherwise the SDK writes to the terminal about each repeated attempt.
  s3.config.logger = { trace: silent, debug: silent, info: silent, warn: silent, error: silent }
  return s3
}
