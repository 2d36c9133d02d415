/** Once a day every raw bucket and the tape endpoint are searched for dark copies. */
import type { Context } from '../../../context.ts'
import type { Logger } from '../../../log.ts'
import { type DarkOptions, type DarkPlace, darkEndpoint, findDark } from './dark.ts'
import { lastDarkPass, noteDarkPass } from './rows.ts'

/** A little less than a day, so that the search stays at the same hour. */
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
 * Searches one place, unless the signal has aborted. A search interrupted by the signal is logged and is not
 * an error. It is repeated by the next run; if it had the `wholeTime` of this run, by the first run of the
 * next day, so that the scrub gets its time.
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
    log.error({ endpoint, error }, 'place-not-searched')
    if (!wholeTime) return
    const pass = { begunAt, at: context.now(), listed: 0, finished: false }
    await noteDarkPass(context.database, endpoint, pass)
  }
}
