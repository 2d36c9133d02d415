/** Everything needed to send one file. */
import type { S3Client } from '@aws-sdk/client-s3'
import type { ObjectToSend } from '../../shared/storage/upload.ts'
import type { UploadLayout } from '../../shared/storage/upload-layout.ts'
import type { FileChecksums } from './checksums.ts'
import type { LocalFile } from './local-file.ts'
import type { UploadStateFile } from './upload-state.ts'

export interface Sending {
  readonly s3: S3Client
  readonly object: ObjectToSend
  readonly file: LocalFile
  readonly checksums: FileChecksums
  readonly layout: UploadLayout
  readonly concurrency: number
  readonly state: UploadStateFile
  readonly signal: AbortSignal
  /** Bytes that were sent; negative when they did not arrive. */
  onSent(bytes: number): void
  /** Bytes that the store already had. */
  onKept(bytes: number): void
}
