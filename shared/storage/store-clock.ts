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
  const date = dateReader()
  command.middlewareStack.add(date.middleware, date.options)
  const before = now()
  await s3.send(command, { abortSignal: signal })
  return clockDifference(date.stated(), before, now())
}

/** As `storeClockDifference`, of an answer that came between two times. */
export function clockDifference(stated: Date | null, before: Date, after: Date): number {
  if (stated === null) return 0
  const [earliest, latest] = [before.getTime() - PRECISION_MS, after.getTime() + PRECISION_MS]
  if (stated.getTime() >= earliest && stated.getTime() <= latest) return 0
  return stated.getTime() - (stated.getTime() < earliest ? before : after).getTime()
}

/**
 * Reads the `Date` of the answer to one command, to which the middleware is added: null until it is answered, or
 * if none is stated.
 */
export function dateReader() {
  let stated: Date | null = null
  return {
    middleware:
      <Args, Answer extends { readonly response: unknown }>(next: (args: Args) => Promise<Answer>) =>
      async (args: Args): Promise<Answer> => {
        const answer = await next(args)
        const { headers } = answer.response as { readonly headers: Readonly<Record<string, string>> }
        const at = new Date(headers.date ?? '')
        stated = Number.isNaN(at.getTime()) ? null : at
        return answer
      },
    options: { step: 'deserialize', name: 'readDate' } as const,
    stated: () => stated,
  }
}

/**
 * When an object may have been stored at the latest, by the date that the store states: the clock may have been
 * behind then as it is now.
 */
export const latestDate = (date: Date | null, differenceMs: number): Date | null =>
  date === null || differenceMs >= 0 ? date : new Date(date.getTime() - differenceMs)
