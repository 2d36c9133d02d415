/** Where all data is, for everybody who looks at it: summed up once a minute at the most. */

import type { Context } from '../../../shared/context.ts'
import { type RunsByPlace, runsByPlace } from '../../../shared/queries/dashboard.ts'
import type { VisibleTags } from '../../../shared/queries/site-state.ts'
import { createKept } from '../http/kept.ts'

const FRESH_MS = 60_000
const PAUSE_MS = 1000

/** Of these tags. */
export type AllRuns = (tags: VisibleTags) => Promise<readonly RunsByPlace[]>

export function createAllRuns({ database, now }: Pick<Context<'database'>, 'database' | 'now'>): AllRuns {
  const times = { freshMs: FRESH_MS, pauseMs: PAUSE_MS, longestMs: FRESH_MS }
  const kept = createKept('the sums over all runs', () => runsByPlace(database), times, now)
  return async (tags) => (await kept.get()).filter(({ tag }) => tags === '*' || tags.includes(tag))
}
