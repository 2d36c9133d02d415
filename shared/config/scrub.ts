/** The scrub, which verifies copies again. */
import { positive, setting } from './setting.ts'

export const scrub = {
  days: setting(
    'CYGNET_SCRUB_DAYS',
    positive.default(90),
    'every copy is verified at least once in this many days',
  ),
  bytes: setting(
    'CYGNET_SCRUB_BYTES',
    positive.default(20_000_000_000),
    'most bytes that one run of the scrub reads',
  ),
} as const
