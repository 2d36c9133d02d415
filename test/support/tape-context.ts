/**
 * A context on the test services with a tape endpoint, by default the directory driver on a temporary folder.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../../infra/local/testing.ts'
import type { Context } from '../../shared/context.ts'
import { createChecksums } from '../../shared/extraction/checksums.ts'
import { parseRunKey } from '../../shared/run.ts'
import { createPublicS3Client } from '../../shared/storage/client.ts'
import { describeObject, type ObjectDescription } from '../../shared/storage/objects.ts'
import { createDirectoryDriver } from '../../shared/tape/directory/directory.ts'
import type { TapeDriver } from '../../shared/tape/driver.ts'
import { record } from './catalogue.ts'
import { signal, startTestContext, type TestContext } from './context.ts'
import { metadataOf } from './metadata.ts'

export interface TestTapeContext extends TestContext, Context<'publicS3' | 'tape'> {
  readonly tape: TapeDriver
  /** The root of the directory driver. */
  readonly tapeFolder: string
  /** Puts bytes into the store and catalogues them as the run of the key, as extraction does. */
  putRun(key: string, body: Uint8Array | string): Promise<CataloguedObject>
}

export interface CataloguedObject {
  readonly object: ObjectDescription
  readonly runNumber: number
  readonly tag: string
  readonly sha256: string
  readonly md5: string
  readonly adler32: string
}

export async function startTestTapeContext(
  options: {
    readonly driver?: (tapeFolder: string) => TapeDriver
    readonly environment?: Readonly<Record<string, string>>
    /** The time for the functions. */
    readonly now?: () => Date
  } = {},
): Promise<TestTapeContext> {
  const tapeFolder = join(temporaryFolder(), 'tape')
  mkdirSync(tapeFolder, { recursive: true })
  const context = await startTestContext(options.environment)
  const publicS3 = createPublicS3Client(context.config)
  const tape = options.driver?.(tapeFolder) ?? createDirectoryDriver({ folder: tapeFolder })
  return {
    ...context,
    ...(options.now === undefined ? {} : { now: options.now }),
    publicS3,
    tape,
    tapeFolder,
    async putRun(key, body) {
      await context.put(key, body)
      const object = await describeObject(context.s3, { bucket: context.bucket, key }, signal)
      const run = parseRunKey(key)
      if (object === null || run === null) throw new Error(`${key} is not a run in the store`)
      const checksums = createChecksums()
      checksums.update(Buffer.from(body))
      const { md5, adler32, sha256 } = await checksums.digest()
      const metadata = metadataOf(run.runNumber, {
        checksums: { md5, adler32, sha256 },
        sizeBytes: object.sizeBytes,
        subrun: run.subrun,
      })
      await record(context.database, object, metadata, { tag: run.tag })
      return { object, runNumber: run.runNumber, tag: run.tag, sha256, md5, adler32 }
    },
    async close() {
      publicS3.destroy()
      await tape.close()
      await context.close()
    },
  }
}
