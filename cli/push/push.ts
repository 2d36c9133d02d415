/** Files into a bucket, one after the other; the parts of each at the same time. */
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
  /** Also files that are not named as runs. */
  readonly anyName: boolean
}

/**
 * Gives what became of each file, in the order given, as soon as it is known. Throws nothing that is about
 * one file.
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
 * A client that sends: Content-MD5 guards every body already, so the SDK adds no checksum of its own. Its
 * default would end in composite checksums, which say nothing about the whole content, and in trailers that
 * some stores refuse.
 */
export function createPushClient(config: Config): S3Client {
  const s3 = createS3Client({ ...config, store: { ...config.store, sdkChecksums: 'WHEN_REQUIRED' } })
  const silent = () => {}
  // Else the SDK writes to the terminal about each attempt that is made again.
  s3.config.logger = { trace: silent, debug: silent, info: silent, warn: silent, error: silent }
  return s3
}
