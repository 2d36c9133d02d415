/** Work under a lease. */
import { positive, setting } from './setting.ts'

export const work = {
  leaseSeconds: setting(
    'CYGNET_LEASE_SECONDS',
    positive.default(120),
    'duration of a lease on an arrival; if it is not renewed, another function may take the arrival',
  ),
  keptDays: setting(
    'CYGNET_TASKS_KEPT_DAYS',
    positive.default(30),
    'how long a finished task stays in the catalogue; the history of its run is kept permanently',
  ),
} as const
