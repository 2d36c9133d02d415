/** Recalls of runs from tape. */
import { positive, setting } from './setting.ts'

export const recall = {
  days: setting(
    'CYGNET_RECALL_DAYS',
    positive.default(7),
    'how long a recalled run stays in the store; then it is deleted, also without a policy of the cleaner, at the earliest after a day',
  ),
  hours: setting(
    'CYGNET_RECALL_HOURS',
    positive.default(48),
    'a recall that takes longer fails; outages of the tape endpoint and the store do not count',
  ),
  atOnce: setting(
    'CYGNET_RECALLS_AT_ONCE',
    positive.default(8),
    'most files brought back at the same time, over all functions',
  ),
  bytesPerDay: setting(
    'CYGNET_RECALL_BYTES_PER_DAY',
    positive.optional(),
    'most bytes that one person or token may request from tape within 24 hours; absent: no limit',
  ),
  bytesPerTag: setting(
    'CYGNET_RECALL_BYTES_PER_TAG',
    positive.optional(),
    'most bytes of one tag that may be requested from tape within 24 hours; absent: no limit',
  ),
} as const
