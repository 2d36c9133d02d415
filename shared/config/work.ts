/** Work under a lease. */
import { positive, setting } from './setting.ts'

export const work = {
  leaseSeconds: setting(
    'CYGNET_LEASE_SECONDS',
    positive.default(120),
    'how long a function holds an arrival without renewing; then another may take it',
  ),
} as const
