/** Work under a lease. */
import { positive, setting } from './setting.ts'

export const work = {
  leaseSeconds: setting(
    'CYGNET_LEASE_SECONDS',
    positive.default(120),
    'how long a function holds an arrival without renewing; then another may take it',
  ),
  keptDays: setting(
    'CYGNET_TASKS_KEPT_DAYS',
    positive.default(30),
    'how long a task that is done stays in the catalogue; the history of its run stays for ever',
  ),
} as const
