/** What the cleaner deletes. */
import { positive, setting, share, whole, wholeByName } from './setting.ts'

export const clean = {
  runsAfterDays: setting(
    'CYGNET_CLEAN_RUNS_AFTER_DAYS',
    whole.optional(),
    'runs with a verified tape copy leave the store after so many days, one at the least; absent means that age alone deletes nothing',
  ),
  capacityBytes: setting(
    'CYGNET_CLOUD_CAPACITY_BYTES',
    positive.optional(),
    'room for runs in the store; absent means that fullness deletes nothing, and that nobody is told when it is full',
  ),
  highWater: setting(
    'CYGNET_CLOUD_HIGH_WATER',
    share.default(0.85),
    'share of the capacity above which the oldest runs with a verified tape copy leave early; none that came within the last day',
  ),
  lowWater: setting(
    'CYGNET_CLOUD_LOW_WATER',
    share.default(0.75),
    'share of the capacity at which that stops',
  ),
  mostRuns: setting(
    'CYGNET_CLEAN_MOST_RUNS',
    positive.default(100),
    'one run of the cleaner deletes at most so many files of runs, and says so when it stops there',
  ),
  eventsSeenSeconds: setting(
    'CYGNET_EVENTS_SEEN_SECONDS',
    whole.default(600),
    'single events leave the buffer so long after they were seen',
  ),
  eventsUnseenSeconds: setting(
    'CYGNET_EVENTS_UNSEEN_SECONDS',
    whole.default(3600),
    'single events that nobody looked at leave the buffer at this age',
  ),
  eventsUnseenSecondsByTag: setting(
    'CYGNET_EVENTS_UNSEEN_SECONDS_BY_TAG',
    wholeByName.default({}),
    'the same for some tags, e.g. LNGS=7200,LNF=3600',
  ),
} as const
