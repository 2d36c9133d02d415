/** The first write to the store, for `cygnet doctor`: a small object in each bucket of runs, deleted again. */
import { createHash, randomBytes } from 'node:crypto'
import type { S3Client } from '@aws-sdk/client-s3'
import type { Diagnosis } from '../../infra/local/doctor.ts'
import type { Config } from '../../shared/config/config.ts'
import { classify } from '../../shared/errors.ts'
import { withoutSecrets } from '../../shared/log.ts'
import type { ObjectName } from '../../shared/run.ts'
import { createS3Client, sdkChecksumsOf } from '../../shared/storage/client.ts'
import { deleteObject } from '../../shared/storage/delete-object.ts'
import { describeObject } from '../../shared/storage/objects.ts'
import { storeClockDifference } from '../../shared/storage/store-clock.ts'
import { putWhole } from '../../shared/storage/upload.ts'
import { differenceText } from '../../shared/time/text.ts'

const ANSWER_MS = 20_000

/** Never throws: what the store refuses is in the result, with the setting to change where one helps. */
export async function checkStore(config: Config): Promise<readonly Diagnosis[]> {
  const { rawBuckets } = config.store
  const found = await Promise.all(
    rawBuckets.map(async (bucket) => [
      await checkBucket(config, bucket),
      ...(await checkClock(config, bucket).catch(() => [])),
    ]),
  )
  return found.flat()
}

/** Nothing where the store does not answer, which the other check reports. */
async function checkClock(config: Config, bucket: string): Promise<readonly Diagnosis[]> {
  const s3 = createS3Client(config)
  try {
    const now = () => new Date()
    const differenceMs = await storeClockDifference(s3, bucket, now, AbortSignal.timeout(ANSWER_MS))
    const ok = differenceMs === 0
    return [
      {
        name: 'clock of the store',
        required: false,
        neededFor: 'the dates of runs: which of them are older than the take-over time of their tag',
        ok,
        found: ok
          ? 'agrees with this machine'
          : `${bucket}: ${differenceText(differenceMs)} this machine's clock`,
        remedy: ok ? null : 'let the machines of the store, and this one, set their clocks by NTP',
      },
    ]
  } finally {
    s3.destroy()
  }
}

async function checkBucket(config: Config, bucket: string): Promise<Diagnosis> {
  const common = { name: 'store', required: true, neededFor: `runs and recalls in the bucket ${bucket}` }
  const failure = await writeOnce(config, bucket)
  if (failure === null)
    return { ...common, ok: true, found: 'a small object was written and deleted', remedy: null }
  return { ...common, ok: false, found: failure, remedy: await remedyFor(config, bucket) }
}

/** Names the setting only when the store takes the same object with it. */
async function remedyFor(config: Config, bucket: string): Promise<string> {
  const plain = { ...config, store: { ...config.store, sdkChecksums: 'WHEN_REQUIRED' } } as const
  return sdkChecksumsOf(config) === 'WHEN_SUPPORTED' && (await writeOnce(plain, bucket)) === null
    ? 'set CYGNET_S3_SDK_CHECKSUMS=WHEN_REQUIRED: the store refuses the checksums that the SDK adds to uploads'
    : 'check CYGNET_S3_ENDPOINT, the keys and their rights, and CYGNET_RAW_BUCKETS'
}

/** Null when it succeeded, else why it did not. */
async function writeOnce(config: Config, bucket: string): Promise<string | null> {
  const s3 = createS3Client(config)
  try {
    await writeAndDelete(s3, { bucket, key: `TMP/cygnet-doctor-${randomBytes(6).toString('hex')}` })
    return null
  } catch (error) {
    return withoutSecrets(classify(error).message)
  } finally {
    s3.destroy()
  }
}

/** Sent as a stream, like a run: some stores refuse only those. */
async function writeAndDelete(s3: S3Client, name: ObjectName): Promise<void> {
  const signal = AbortSignal.timeout(ANSWER_MS)
  const bytes = Buffer.from('written by cygnet doctor\n')
  const md5 = createHash('md5').update(bytes).digest('hex')
  const body = {
    sizeBytes: bytes.length,
    md5,
    open: async function* () {
      yield bytes
    },
  }
  await putWhole(s3, { ...name, metadata: {}, replace: true }, body, signal)
  const object = await describeObject(s3, name, signal)
  if (object === null) throw new Error('the store accepted an object, and does not have it')
  await deleteObject(s3, object, signal)
}
