/**
 * Every rule that raises an alert: its severities, the most severe first where it depends, how its episodes end, the
 * section of the runbook for it, and its meaning.
 */

export const SEVERITIES = ['info', 'warning', 'error', 'page'] as const
export type Severity = (typeof SEVERITIES)[number]

/**
 * How an episode of the rule ends. `condition`: when the condition has ended, which the rule itself finds; until then
 * an acknowledgement only states that somebody takes care. `acknowledgement`: it may have no end (the data is as it
 * is), so it is over when a person acknowledges it, or before that if it is found to have ended. `at-once`: it is
 * information, and over when it was reported.
 */
export type AlertEnd = 'condition' | 'acknowledgement' | 'at-once'

interface AlertRuleOf {
  readonly severities: readonly Severity[]
  readonly ends: AlertEnd
  /** Anchor of the section of docs/runbook.md: what to do first, when it is over, what it means for the data. */
  readonly runbook: string
  readonly meaning: string
}

export const ALERT_RULES = {
  'checksum-mismatch': {
    severities: ['page'],
    ends: 'condition',
    runbook: 'a-checksum-disagrees-page',
    meaning:
      "a digest stated by the store or the uploader disagrees with the bytes, read twice: keep the DAQ's file",
  },
  'invalid-file': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'a-file-is-not-a-readable-run',
    meaning: 'the object is not a readable run',
  },
  'arrival-failed': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'an-arrival-failed-or-the-store-was-away',
    meaning: 'the object could not be catalogued after six attempts',
  },
  'object-gone': {
    severities: ['error'],
    ends: 'acknowledgement',
    runbook: 'an-announced-file-is-missing',
    meaning: 'the object was announced, and missing before it was ever catalogued',
  },
  'tag-not-adopted': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'the-first-start-on-a-bucket-that-is-full',
    meaning:
      'the listing has found more than 100 unknown objects older than a day under a tag without a take-over time: they wait until `cygnet adopt` sets one; counted once for each day of the newest of them and calendar month',
  },
  'history-found': {
    severities: ['info'],
    ends: 'at-once',
    runbook: 'the-first-start-on-a-bucket-that-is-full',
    meaning:
      'objects older than the take-over time of their tag are being catalogued as history; once a tag and take-over time',
  },
  'history-catalogued': {
    severities: ['info'],
    ends: 'at-once',
    runbook: 'the-first-start-on-a-bucket-that-is-full',
    meaning:
      'all history of a tag was read, with counts of what is invalid, incomplete or wrong; once a tag and take-over time',
  },
  'file-awaited': {
    severities: ['warning'],
    ends: 'condition',
    runbook: 'a-run-has-no-file',
    meaning:
      "runs that the DAQ's logger wrote down have no file a day after they ended, in the last seven days; counted once a day",
  },
  'run-number-reused': {
    severities: ['error'],
    ends: 'acknowledgement',
    runbook: 'a-run-number-was-used-again',
    meaning: 'another run has the same number',
  },
  'runlog-tag-unusable': {
    severities: ['error'],
    ends: 'acknowledgement',
    runbook: 'the-runlog-and-the-files-disagree',
    meaning: 'the Runlog has rows without a tag that a run can have: they make no run; counted once a day',
  },
  'runlog-start-differs': {
    severities: ['warning'],
    ends: 'acknowledgement',
    runbook: 'the-runlog-and-the-files-disagree',
    meaning: "the Runlog was given another begin of a run than its file states: the file's counts",
  },
  'run-number-mismatch': {
    severities: ['error'],
    ends: 'acknowledgement',
    runbook: 'a-file-has-a-wrong-name',
    meaning: "the file's name and its begin-of-run event disagree on the run number",
  },
  'incomplete-file': {
    severities: ['warning'],
    ends: 'acknowledgement',
    runbook: 'a-run-is-incomplete',
    meaning: 'cut, damaged, or without end of run',
  },
  'no-camera-bank': {
    severities: ['warning'],
    ends: 'acknowledgement',
    runbook: 'a-run-has-no-camera-frames',
    meaning: 'triggers, but no camera frame',
  },
  'same-contents': {
    severities: ['warning'],
    ends: 'acknowledgement',
    runbook: 'two-runs-have-the-same-bytes',
    meaning:
      'the same bytes are catalogued for two runs: a file was probably sent under a wrong tag or name; both are kept; counted once for a pair',
  },
  'token-of-other-machine': {
    severities: ['error'],
    ends: 'acknowledgement',
    runbook: 'a-machine-uses-the-token-of-another',
    meaning:
      'a machine reports files with an API token of another machine: none is recorded, and none is deleted on its disk; states the command that makes the right token; counted once a day',
  },
  'clock-differs': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'a-clock-is-wrong',
    meaning:
      "the clock of a machine, or of the store, and the database's differ by more than a minute: one of them is wrong; counted once a day",
  },
  'misnamed-object': {
    severities: ['warning'],
    ends: 'condition',
    runbook: 'a-file-has-a-wrong-name',
    meaning: 'the object looks like a run, but is not named like one',
  },
  'tape-copy-fails': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'a-run-is-not-on-tape',
    meaning: 'a copy to tape failed six times; further attempts follow',
  },
  'tape-source-gone': {
    severities: ['page', 'error'],
    ends: 'acknowledgement',
    runbook: 'contents-were-lost-before-they-were-on-tape-page',
    meaning:
      'the contents were overwritten or deleted before they were copied to tape; error where another copy on tape is verified',
  },
  'tape-name-taken': {
    severities: ['warning'],
    ends: 'acknowledgement',
    runbook: 'a-name-on-tape-is-taken-or-impossible',
    meaning: 'other contents have the name on tape: they are kept, the copy gets an alternate name',
  },
  'tape-endpoint-fails': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'the-tape-endpoint-fails',
    meaning:
      'copying to the tape endpoint, or reading from it, has failed for a minute; copies or recalls wait and lose no attempt, one at a time tries every minute',
  },
  'store-fails': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'an-arrival-failed-or-the-store-was-away',
    meaning:
      'the store has failed for a minute when objects were read from it; what needs it waits and loses no attempt, one at a time tries every minute',
  },
  'listing-fails': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'the-listing-fails',
    meaning:
      'the listing of a raw bucket has made no progress for an hour: objects whose notification was lost are not found; counted once a day',
  },
  'tape-copy-impossible': {
    severities: ['error'],
    ends: 'acknowledgement',
    runbook: 'a-name-on-tape-is-taken-or-impossible',
    meaning: 'no endpoint can hold a file of this name',
  },
  'backlog-not-on-tape': {
    severities: ['warning'],
    ends: 'condition',
    runbook: 'a-run-is-not-on-tape',
    meaning:
      'copies of the backlog have waited longer than CYGNET_TAPE_LATE_HOURS, with their number; counted once a day',
  },
  'not-on-tape': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'a-run-is-not-on-tape',
    meaning: 'a copy is not verified on tape CYGNET_TAPE_LATE_HOURS after it was requested',
  },
  'no-copy-on-tape': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'a-run-is-not-on-tape',
    meaning:
      'new runs have no copy on tape, not even a requested one, CYGNET_TAPE_LATE_HOURS after they arrived: `track-tape` does not run, or no tape driver is configured; counted once a day',
  },
  'recall-failed': {
    severities: ['error'],
    ends: 'acknowledgement',
    runbook: 'a-recall-failed',
    meaning: 'a file was not brought back; a new request begins anew',
  },
  'last-copy-in-danger': {
    severities: ['page'],
    ends: 'condition',
    runbook: 'a-copy-is-missing-or-suspicious',
    meaning:
      'the only verified copy of a file is missing or has other bytes: nothing may be deleted; a file that the DAQ was seen to have does not count, and is named as the place to inspect',
  },
  'copy-missing': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'a-copy-is-missing-or-suspicious',
    meaning: 'a copy is missing, another one is verified',
  },
  'copy-suspicious': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'a-copy-is-missing-or-suspicious',
    meaning: 'a copy has other bytes, another one is verified',
  },
  'dark-copies': {
    severities: ['warning'],
    ends: 'condition',
    runbook: 'files-that-the-catalogue-does-not-know',
    meaning: 'files that look like runs and that the catalogue does not know; counted once a day',
  },
  'cleaner-cap-reached': {
    severities: ['warning'],
    ends: 'condition',
    runbook: 'the-disk-is-filling',
    meaning: 'the cleaner stopped at CYGNET_CLEAN_MOST_RUNS; counted once a day',
  },
  'store-is-full': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'the-disk-is-filling',
    meaning:
      'the store is above its high-water mark, and nothing more may be deleted now; states why, with counts; counted once a day',
  },
  'notifications-refused': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'notifications-are-refused',
    meaning:
      'receive-notification refuses what a store sends, ten times or for a quarter of an hour, counted for all its processes: `cygnet notifications show` and `test`; runs are found by listings meanwhile; counted once a day',
  },
  'parked-notification': {
    severities: ['warning'],
    ends: 'acknowledgement',
    runbook: 'a-notification-that-was-not-understood',
    meaning: 'a notification that could not be understood was kept (`cygnet dead ls`)',
  },
  'channel-fails': {
    severities: ['error'],
    ends: 'condition',
    runbook: 'alerts-do-not-appear-in-a-channel',
    meaning:
      'alerts cannot be shown in a channel, or its service has failed for a minute: they wait, and none is lost; shown in all other channels',
  },
  'unreadable-alert': {
    severities: ['error'],
    ends: 'acknowledgement',
    runbook: 'an-alert-cannot-be-read',
    meaning:
      'a request for an alert could not be read: it is kept in the outbox under the name that is stated',
  },
  external: {
    severities: ['page', 'error', 'warning', 'info'],
    ends: 'condition',
    runbook: 'an-alert-of-another-system',
    meaning:
      "an alert of another system, such as the site's Alertmanager; its name is the label `alertname`, its severity follows from the label `severity`",
  },
  'external-truncated': {
    severities: ['error'],
    ends: 'acknowledgement',
    runbook: 'an-alert-of-another-system',
    meaning:
      'an Alertmanager left alerts out of a notification: they are in its own list, and nobody was told of them here',
  },
  'rota-fails': {
    severities: ['warning'],
    ends: 'condition',
    runbook: 'the-rota-cannot-be-read',
    meaning:
      'the calendar of CYGNET_ROTA_URL cannot be read: the last one that was read is used, and its age is stated; where there is none, escalation mentions the role',
  },
} as const satisfies Readonly<Record<string, AlertRuleOf>>

export type AlertRule = keyof typeof ALERT_RULES

/** The severities that alerts of a rule may have. */
export type SeverityOf<Rule extends AlertRule> = (typeof ALERT_RULES)[Rule]['severities'][number]
