/** The policy of the cleaner. */
import { positive, setting, share, whole, wholeByName } from './setting.ts'

export const clean = {
  runsAfterDays: setting(
    'CYGNET_CLEAN_RUNS_AFTER_DAYS',
    whole.optional(),
    'runs with a verified tape copy are deleted from the store after this many days, at least one; absent: nothing is deleted by age',
  ),
  capacityBytes: setting(
    'CYGNET_CLOUD_CAPACITY_BYTES',
    positive.optional(),
    'capacity of the store for runs; absent: nothing is deleted because the store is full, and no alert is raised',
  ),
  highWater: setting(
    'CYGNET_CLOUD_HIGH_WATER',
    share.default(0.85),
    'share of the capacity above which the oldest runs with a verified tape copy are deleted early; never runs stored within the last day',
  ),
  lowWater: setting(
    'CYGNET_CLOUD_LOW_WATER',
    share.default(0.75),
    'share of the capacity at which this stops',
  ),
  mostRuns: setting(
    'CYGNET_CLEAN_MOST_RUNS',
    positive.default(100),
    'most files that one run of the cleaner deletes; an alert is raised when it stops there',
  ),
  eventsSeenSeconds: setting(
    'CYGNET_EVENTS_SEEN_SECONDS',
    whole.default(600),
    'single events are deleted from the buffer this long after they were viewed',
  ),
  eventsUnseenSeconds: setting(
    'CYGNET_EVENTS_UNSEEN_SECONDS',
    whole.default(3600),
    'single events that were not viewed are deleted from the buffer at this age',
  ),
  eventsUnseenSecondsByTag: setting(
    'CYGNET_EVENTS_UNSEEN_SECONDS_BY_TAG',
    wholeByName.default({}),
    'the same by tag, e.g. LNGS=7200,LNF=3600',
  ),
} as const
