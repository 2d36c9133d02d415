/** Where all data is; computed at most once a minute for all callers. */

import type { Context } from '../../../shared/context.ts'
import { type RunsByPlace, runsByPlace } from '../../../shared/queries/dashboard.ts'
import type { VisibleTags } from '../../../shared/queries/site-state.ts'
import { createCached } from '../http/cached.ts'

const FRESH_MS = 60_000
const PAUSE_MS = 1000

/** The sums for these tags. */
export type AllRuns = (tags: VisibleTags) => Promise<readonly RunsByPlace[]>

export function createAllRuns({ database, now }: Pick<Context<'database'>, 'database' | 'now'>): AllRuns {
  const times = { freshMs: FRESH_MS, pauseMs: PAUSE_MS, longestMs: FRESH_MS }
  const cached = createCached('the sums over all runs', () => runsByPlace(database), times, now)
  return async (tags) => (await cached.get()).filter(({ tag }) => tags === '*' || tags.includes(tag))
}
