/** Recalls of runs from tape. */
import { positive, setting } from './setting.ts'

export const recall = {
  days: setting(
    'CYGNET_RECALL_DAYS',
    positive.default(7),
    'how long a recalled run stays in the store; then it is deleted, also without a policy of the cleaner, at the earliest after a day',
  ),
  hours: setting('CYGNET_RECALL_HOURS', positive.default(48), 'a recall that takes longer fails'),
} as const
