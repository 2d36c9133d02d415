/** Every rule that raises an alert: its severity, the most severe first where it depends, and its meaning. */

export const SEVERITIES = ['info', 'warning', 'error', 'page'] as const
export type Severity = (typeof SEVERITIES)[number]

export const ALERT_RULES = {
  'checksum-mismatch': {
    severities: ['page'],
    meaning:
      "a digest stated by the store or the uploader disagrees with the bytes, read twice: keep the DAQ's file",
  },
  'invalid-file': { severities: ['error'], meaning: 'the object is not a readable run' },
  'arrival-failed': {
    severities: ['error'],
    meaning: 'the object could not be catalogued after six attempts',
  },
  'object-gone': {
    severities: ['error'],
    meaning: 'the object was announced, and missing before it was ever catalogued',
  },
  'tag-not-adopted': {
    severities: ['error'],
    meaning:
      'the listing has found more than 100 unknown objects older than a day under a tag without a take-over time: they wait until `cygnet adopt` sets one; once a tag, day of the newest of them, and calendar month',
  },
  'history-found': {
    severities: ['info'],
    meaning:
      'objects older than the take-over time of their tag are being catalogued as history; once a tag and take-over time',
  },
  'history-catalogued': {
    severities: ['info'],
    meaning:
      'all history of a tag was read, with counts of what is invalid, incomplete or wrong; once a tag and take-over time',
  },
  'file-awaited': {
    severities: ['warning'],
    meaning:
      "runs that the DAQ's logger wrote down have no file a day after they ended, in the last seven days; once a tag and day",
  },
  'run-number-reused': { severities: ['error'], meaning: 'another run has the same number' },
  'runlog-tag-unusable': {
    severities: ['error'],
    meaning: 'the Runlog has rows without a tag that a run can have: they make no run; once a tag and day',
  },
  'runlog-start-differs': {
    severities: ['warning'],
    meaning: "the Runlog was given another begin of a run than its file states: the file's counts",
  },
  'run-number-mismatch': {
    severities: ['error'],
    meaning: "the file's name and its begin-of-run event disagree on the run number",
  },
  'incomplete-file': { severities: ['warning'], meaning: 'cut, damaged, or without end of run' },
  'no-camera-bank': { severities: ['warning'], meaning: 'triggers, but no camera frame' },
  'same-contents': {
    severities: ['warning'],
    meaning:
      'the same bytes are catalogued for two runs: a file was probably sent under a wrong tag or name; both are kept; once a pair',
  },
  'token-of-other-machine': {
    severities: ['error'],
    meaning:
      'a machine reports files with an API token of another machine: none is recorded, and none is deleted on its disk; states the command that makes the right token; once a token and day',
  },
  'clock-differs': {
    severities: ['error'],
    meaning:
      "the clock of a machine and the database's differ by more than a minute: one of them is wrong; once a machine and day",
  },
  'misnamed-object': {
    severities: ['warning'],
    meaning: 'the object looks like a run, but is not named like one',
  },
  'tape-copy-fails': {
    severities: ['error'],
    meaning: 'a copy to tape failed six times; further attempts follow',
  },
  'tape-source-gone': {
    severities: ['page', 'error'],
    meaning:
      'the contents were overwritten or deleted before they were copied to tape; error where another copy on tape is verified',
  },
  'tape-name-taken': {
    severities: ['warning'],
    meaning: 'other contents have the name on tape: they are kept, the copy gets an alternate name',
  },
  'tape-endpoint-fails': {
    severities: ['error'],
    meaning:
      'copying to the tape endpoint, or reading from it, has failed for a minute; copies or recalls wait and lose no attempt, one at a time tries every minute',
  },
  'store-fails': {
    severities: ['error'],
    meaning:
      'the store has failed for a minute when objects were read from it; what needs it waits and loses no attempt, one at a time tries every minute',
  },
  'listing-fails': {
    severities: ['error'],
    meaning:
      'the listing of a raw bucket has made no progress for an hour: objects whose notification was lost are not found; once a bucket and day',
  },
  'tape-copy-impossible': { severities: ['error'], meaning: 'no endpoint can hold a file of this name' },
  'backlog-not-on-tape': {
    severities: ['warning'],
    meaning:
      'copies of the backlog have waited longer than CYGNET_TAPE_LATE_HOURS, with their number; once a day',
  },
  'not-on-tape': {
    severities: ['error'],
    meaning: 'a copy is not verified on tape CYGNET_TAPE_LATE_HOURS after it was requested',
  },
  'recall-failed': {
    severities: ['error'],
    meaning: 'a file was not brought back; a new request begins anew',
  },
  'last-copy-in-danger': {
    severities: ['page'],
    meaning:
      'the only verified copy of a file is missing or has other bytes: nothing may be deleted; a file that the DAQ was seen to have does not count, and is named as the place to inspect',
  },
  'copy-missing': {
    severities: ['error'],
    meaning: 'a copy is missing, another one is verified',
  },
  'copy-suspicious': {
    severities: ['error'],
    meaning: 'a copy has other bytes, another one is verified',
  },
  'dark-copies': {
    severities: ['warning'],
    meaning: 'files that look like runs and that the catalogue does not know; once a place and day',
  },
  'cleaner-cap-reached': {
    severities: ['warning'],
    meaning: 'the cleaner stopped at CYGNET_CLEAN_MOST_RUNS; once a day',
  },
  'store-is-full': {
    severities: ['error'],
    meaning:
      'the store is above its high-water mark, and nothing more may be deleted now; states why, with counts; once a day',
  },
  'notifications-refused': {
    severities: ['error'],
    meaning:
      'receive-notification refuses what a store sends, ten times or for a quarter of an hour, counted for all its processes: `cygnet notifications show` and `test`; runs are found by listings meanwhile; once a reason and day',
  },
  'parked-notification': {
    severities: ['warning'],
    meaning: 'a notification that could not be understood was kept (`cygnet dead ls`)',
  },
} as const satisfies Readonly<
  Record<string, { readonly severities: readonly Severity[]; readonly meaning: string }>
>

export type AlertRule = keyof typeof ALERT_RULES

/** The severities that alerts of a rule may have. */
export type SeverityOf<Rule extends AlertRule> = (typeof ALERT_RULES)[Rule]['severities'][number]
