/** The clock of the store: it dates the objects, and decides what is older than a take-over time. */
import { HeadBucketCommand, type S3Client } from '@aws-sdk/client-s3'

/** Its answers state whole seconds, and take a moment. */
const PRECISION_MS = 5_000

/**
 * The store's clock minus that of `now`, ms; 0 when they agree within a few seconds, or when the store states no
 * time. By the `Date` of one answer: behind a proxy that is the proxy's clock.
 * @throws what a request to the store throws.
 */
export async function storeClockDifference(
  s3: S3Client,
  bucket: string,
  now: () => Date,
  signal: AbortSignal,
): Promise<number> {
  const command = new HeadBucketCommand({ Bucket: bucket })
  let stated = Number.NaN
  command.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const { headers } = result.response as { readonly headers: Readonly<Record<string, string>> }
      stated = Date.parse(headers.date ?? '')
      return result
    },
    { step: 'deserialize', name: 'readDate' },
  )
  const before = now().getTime()
  await s3.send(command, { abortSignal: signal })
  const [earliest, latest] = [before - PRECISION_MS, now().getTime() + PRECISION_MS]
  if (Number.isNaN(stated) || (stated >= earliest && stated <= latest)) return 0
  return stated < earliest ? stated - before : stated - now().getTime()
}
