/** How often copies are verified again. */
import { positive, setting } from './setting.ts'

export const scrub = {
  days: setting('CYGNET_SCRUB_DAYS', positive.default(90), 'every copy is verified again at least so often'),
  bytes: setting(
    'CYGNET_SCRUB_BYTES',
    positive.default(20_000_000_000),
    'bytes one run of the scrub reads at most',
  ),
} as const
