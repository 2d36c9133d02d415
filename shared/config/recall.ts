/** Runs that come back from tape. */
import { positive, setting } from './setting.ts'

export const recall = {
  days: setting(
    'CYGNET_RECALL_DAYS',
    positive.default(7),
    'how long a run that was brought back from tape stays; then it leaves again, also without a policy of the cleaner, a day after it came at the earliest',
  ),
  hours: setting('CYGNET_RECALL_HOURS', positive.default(48), 'a recall that takes longer has failed'),
} as const
