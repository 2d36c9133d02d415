/** Once a day every raw bucket and the tape endpoint are searched for dark copies. */
import type { Context } from '../../../context.ts'
import type { Logger } from '../../../log.ts'
import { type DarkOptions, type DarkPlace, darkEndpoint, findDark } from './dark.ts'
import { lastDarkPass, noteDarkPass } from './rows.ts'

/** A little less than a day, so that the hour of the searches stays what it is. */
const DARK_PASS_MS = 23.5 * 3_600_000

export interface DuePlace {
  readonly place: DarkPlace
  readonly endpoint: string
}

/** The places whose last search is a day ago or more. */
export async function duePlaces(context: Context<'database' | 'tape'>): Promise<readonly DuePlace[]> {
  const buckets = context.config.store.rawBuckets.map((bucket) => ({ bucket }))
  const latest = context.now().getTime() - DARK_PASS_MS
  const due: DuePlace[] = []
  for (const place of [...buckets, { tape: true } as const]) {
    const endpoint = darkEndpoint(context, place)
    if (endpoint === null) continue
    const last = await lastDarkPass(context.database, endpoint)
    if (last === null || last.getTime() <= latest) due.push({ place, endpoint })
  }
  return due
}

/**
 * Searches one place, unless the signal has aborted. A search that the signal interrupts is logged and is no
 * failure: it begins again with the next run, or, where it had the `wholeTime` of this run, with tomorrow's
 * first, because the time until then is the scrub's.
 * @throws what the place throws.
 */
export async function searchPlace(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  { place, endpoint }: DuePlace,
  { wholeTime, ...options }: DarkOptions & { readonly wholeTime: boolean },
  signal: AbortSignal,
  log: Logger,
): Promise<undefined> {
  if (signal.aborted) return
  const begunAt = context.now()
  try {
    await findDark(context, place, options, signal, log)
  } catch (error) {
    if (!signal.aborted) throw error
    log.error({ endpoint, error }, 'place-not-gone-through')
    if (!wholeTime) return
    const pass = { begunAt, at: context.now(), listed: 0, finished: false }
    await noteDarkPass(context.database, endpoint, pass)
  }
}
