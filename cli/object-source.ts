/** An object in S3 as something to read: for `cygnet inspect s3://bucket/key`. */
import { InvalidInputError } from '../shared/errors.ts'
import { parseRunKey } from '../shared/run.ts'

export interface ReadableSource {
  readonly fileName: string
  readonly tag: string | null
  readonly sizeBytes: number
  open(signal: AbortSignal): AsyncIterable<Uint8Array>
}

/** @throws InvalidInputError when the address is not s3://bucket/key or nothing is there. */
export async function objectSource(address: string): Promise<ReadableSource> {
  const { bucket, key } = /^s3:\/\/(?<bucket>[^/]+)\/(?<key>.+)$/.exec(address)?.groups ?? {}
  if (bucket === undefined || key === undefined)
    throw new InvalidInputError(`${address} is not s3://<bucket>/<key>`)
  const [{ loadStoreSettings }, { createS3Client }, { describeObject, readObject }] = await Promise.all([
    import('./settings.ts'),
    import('../shared/storage/client.ts'),
    import('../shared/storage/objects.ts'),
  ])
  const s3 = createS3Client(await loadStoreSettings())
  const object = await describeObject(s3, { bucket, key }, AbortSignal.timeout(30_000))
  if (object === null) throw new InvalidInputError(`there is no object ${address}`)
  return {
    fileName: key.slice(key.lastIndexOf('/') + 1),
    tag: parseRunKey(key)?.tag ?? null,
    sizeBytes: object.sizeBytes,
    open: (signal) => readObject(s3, object, signal),
  }
}
