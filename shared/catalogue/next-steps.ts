/** Decides what follows when a file was catalogued: tape copy, reconstruction, alerts. Pure. */
import type { CataloguedRun, DigestComparison, Integrity } from '../database/schema.ts'
import type { FileMetadata } from '../extraction/metadata.ts'
import type { AlertRule, SeverityOf } from '../messages/alert-rules.ts'
import type { ObjectName, ObjectVersion } from '../run.ts'
import type { Request } from '../work/outbox.ts'
import type { RunSummary } from './aggregate.ts'
import { identityOf } from './arrivals.ts'
import { cameraBanks, lacksCamera, triggerEvents } from './open-problems.ts'

export interface CataloguedFile {
  readonly run: CataloguedRun
  readonly version: ObjectVersion
  readonly metadata: FileMetadata
  readonly integrity: Integrity
  readonly comparisons: readonly DigestComparison[]
  /**
   * How many other contents were catalogued under the key. Contents that return after others cause new
   * requests.
   */
  readonly otherContents: number
  /** Whether it is one of the files that count for the run. */
  readonly counts: boolean
}

/**
 * A message for `alerts`. The fingerprint identifies the condition, so that it is alerted and cleared once.
 */
export function alertRequest<Rule extends AlertRule>(alert: {
  readonly rule: Rule
  readonly severity: SeverityOf<Rule>
  readonly summary: string
  readonly tag: string | null
  readonly runNumber: number | null
  readonly runId: number | null
  readonly object: ObjectName | null
  /** Distinguishes this occurrence from others of the same rule, e.g. the object version. */
  readonly occurrence: string
}): Request {
  const { runId, occurrence, object, ...body } = alert
  const fingerprint = `${alert.rule}:${occurrence}`
  return {
    name: `alert:${fingerprint}`,
    queue: 'alerts',
    runId,
    body: { fingerprint, ...body, bucket: object?.bucket ?? null, key: object?.key ?? null },
  }
}

/** Notifications are refused again and again. Once a reason and day, whatever the number of sources. */
export function refusedNotificationsAlert(
  {
    reason,
    source,
    count,
    since,
  }: {
    readonly reason: string
    readonly source: string | null
    readonly count: number
    readonly since: Date
  },
  at: Date,
): Request {
  return alertRequest({
    rule: 'notifications-refused',
    severity: 'error',
    summary: `receive-notification refused ${count} requests since ${since.toISOString().slice(0, 16)}Z, the last one of ${source ?? 'an unknown address'}: ${reason}. Runs are found by listings, minutes later; see "cygnet notifications show"`,
    tag: null,
    runNumber: null,
    runId: null,
    object: null,
    occurrence: `${reason}:${at.toISOString().slice(0, 10)}`,
  })
}

const STORE = {
  rule: 'store-fails',
  what: 'the bucket',
  wait: 'arrivals, copies and recalls wait, nothing is lost',
} as const
const TAPE = {
  rule: 'tape-endpoint-fails',
  what: 'the tape endpoint',
  wait: 'copies to it wait, nothing is lost',
} as const
// The copies on tape are not affected.
const TAPE_READ = {
  rule: 'tape-endpoint-fails',
  what: 'reading from the tape endpoint',
  wait: 'recalls wait, and the outage does not count in CYGNET_RECALL_HOURS',
} as const

/** The alert when a tape endpoint or a store fails: one each time that its breaker opens. */
export function dependencyAlert(dependency: string, since: Date, reason: string): Request {
  const [kind, name] = dependency.split(/:(.*)/s)
  const { rule, what, wait } = kind === 'tape' ? TAPE : kind === 'tape-read' ? TAPE_READ : STORE
  return alertRequest({
    rule,
    severity: 'error',
    summary: `${what} ${name} fails since ${since.toISOString()}: ${reason}; ${wait}`,
    tag: null,
    runNumber: null,
    runId: null,
    object: null,
    occurrence: `${dependency.slice(0, 200)}:${since.toISOString()}`,
  })
}

/**
 * Another run has the same number. `object`: the file of the new run, null if only the logger recorded it.
 */
export function reusedNumberAlert(
  run: CataloguedRun,
  startedEpoch: number,
  object: ObjectName | null,
): Request {
  const name = `run number ${run.runNumber} of ${run.tag}`
  return alertRequest({
    rule: 'run-number-reused',
    severity: 'error',
    summary:
      object === null
        ? `${name} is used again: the entry of the earlier run is kept, but its file will be overwritten if the new file has the same name`
        : `${name} was used again: the entry of the earlier run is kept, but its file under ${object.key} may be overwritten`,
    tag: run.tag,
    runNumber: run.runNumber,
    runId: run.id,
    object,
    occurrence: `${run.tag}/${run.runNumber}/${startedEpoch}`,
  })
}

/** A file has the bytes of a file of another run, which is under another tag or number. */
export function sameContentsAlert(
  run: CataloguedRun,
  object: ObjectName,
  twin: { readonly runId: number; readonly objectKey: string },
  sha256: string,
): Request {
  return alertRequest({
    rule: 'same-contents',
    severity: 'warning',
    summary: `${object.key} has the same bytes as ${twin.objectKey}: one of them was probably sent under a wrong tag or name`,
    tag: run.tag,
    runNumber: run.runNumber,
    runId: run.id,
    object: { bucket: object.bucket, key: object.key },
    occurrence: `${sha256}:${[run.id, twin.runId].toSorted((a, b) => a - b).join('-')}`,
  })
}

/** The Runlog and the file state different begins of a run. Both times are quoted as written there. */
export function differingStartAlert(run: CataloguedRun, inRunlog: string, inFile: string): Request {
  return alertRequest({
    rule: 'runlog-start-differs',
    severity: 'warning',
    summary: `the Runlog stated ${inRunlog} as the begin of run ${run.runNumber} of ${run.tag}, but its file states ${inFile}, which counts`,
    tag: run.tag,
    runNumber: run.runNumber,
    runId: run.id,
    object: null,
    occurrence: `${run.tag}/${run.runNumber}/${inRunlog}`,
  })
}

/** Identifies this version under its key. A version that returns after other contents is a new occurrence. */
function occurrenceOf({ version, otherContents }: Pick<CataloguedFile, 'version' | 'otherContents'>): string {
  return `${identityOf(version).toString('hex')}${otherContents === 0 ? '' : `:${otherContents}`}`
}

/**
 * Requests a tape copy of every file whose checksums agree, also of an incomplete file, because a crashed run
 * is unique too.
 */
export function tapeRequest(file: CataloguedFile, priority: 'live' | 'backlog'): Request | null {
  if (file.integrity === 'mismatch') return null
  return {
    name: `tape:${occurrenceOf(file)}`,
    queue: 'tape-requests',
    runId: file.run.id,
    body: {
      tag: file.run.tag,
      runNumber: file.run.runNumber,
      ...objectFields(file.version),
      md5: file.metadata.checksums.md5,
      adler32: file.metadata.checksums.adler32,
      sha256: file.metadata.checksums.sha256,
      priority,
    },
  }
}

const objectFields = (version: ObjectVersion) => ({
  bucket: version.bucket,
  key: version.key,
  etag: version.etag,
  versionId: version.versionId,
  sizeBytes: version.sizeBytes,
})

/** A file of a run, with what reconstruction needs. */
export interface RunInput extends ObjectVersion {
  readonly md5: string
  readonly banks: FileMetadata['banks']
  readonly eventsById: FileMetadata['eventsById']
}

/** A message has room for this many; of a larger run the reader queries the catalogue. */
const MAX_FILES_IN_MESSAGE = 500

/**
 * Requests reconstruction of a complete run with camera frames and enough triggers; for others `reason`
 * states why not.
 */
export function recoRequest(
  file: Pick<CataloguedFile, 'run' | 'otherContents'>,
  summary: RunSummary,
  files: readonly RunInput[],
  minimumEvents: number,
): { readonly request: Request } | { readonly reason: string } {
  const { run, otherContents } = file
  const triggers = files.reduce((total, file) => total + triggerEvents(file), 0)
  if (summary.integrity === 'mismatch') return { reason: 'a checksum disagrees' }
  if (!summary.complete) return { reason: `the run is not complete: ${summary.problem ?? 'no reason known'}` }
  if (files.every((file) => cameraBanks(file) === 0)) return { reason: 'no camera frames' }
  if (triggers <= minimumEvents)
    return { reason: `${triggers} trigger events, more than ${minimumEvents} are needed` }
  const versions = [
    ...files.map((input) => identityOf(input).toString('hex').slice(0, 16)),
    ...(otherContents === 0 ? [] : [otherContents]),
  ].join('-')
  return {
    request: {
      name: `reco:${run.id}:${versions.length > 200 ? identityOf({ bucket: '', key: versions, versionId: null, etag: null }).toString('hex') : versions}`,
      queue: 'reco-requests',
      runId: run.id,
      body: {
        tag: run.tag,
        runNumber: run.runNumber,
        pedestal: summary.parameters.pedestal_run === 1,
        triggerEvents: triggers,
        fileCount: files.length,
        files:
          files.length > MAX_FILES_IN_MESSAGE
            ? null
            : files.map((input) => ({ ...objectFields(input), md5: input.md5 })),
      },
    },
  }
}

/**
 * The alerts about a file, at most one per condition. Of a file that does not count only the contents and the
 * name matter: it makes no run incomplete.
 */
export function fileAlerts(file: CataloguedFile): readonly Request[] {
  const { metadata, run, version } = file
  const about = {
    tag: run.tag,
    runNumber: run.runNumber,
    runId: run.id,
    object: { bucket: version.bucket, key: version.key },
  }
  const occurrence = occurrenceOf(file)
  const fileName = version.key.slice(version.key.lastIndexOf('/') + 1)
  const ofRun = file.counts ? `run ${run.runNumber} of` : `does not count for run ${run.runNumber} of`
  const named = `${fileName} (${ofRun} ${run.tag})`
  const alerts: Request[] = []
  if (file.integrity === 'mismatch') {
    const wrong = file.comparisons.find((comparison) => !comparison.agrees)
    const summary = `${named}: the ${wrong?.algorithm} in the store differs from the one stated by the ${wrong?.by}; keep the local file`
    alerts.push(alertRequest({ rule: 'checksum-mismatch', severity: 'page', summary, occurrence, ...about }))
  }
  if (file.counts && metadata.problem !== null) {
    const summary = `${named} is incomplete: ${metadata.problem.message}`
    alerts.push(alertRequest({ rule: 'incomplete-file', severity: 'warning', summary, occurrence, ...about }))
  }
  const mismatch = metadata.warnings.find((warning) => warning.code === 'run-number-mismatch')
  if (mismatch !== undefined)
    alerts.push(
      alertRequest({
        rule: 'run-number-mismatch',
        severity: 'error',
        summary: `${named}: ${mismatch.message}`,
        occurrence,
        ...about,
      }),
    )
  if (file.counts && lacksCamera(metadata)) {
    const summary = `${named} has ${triggerEvents(metadata)} triggers and no camera frame (bank CAM0 to CAM9)`
    alerts.push(alertRequest({ rule: 'no-camera-bank', severity: 'warning', summary, occurrence, ...about }))
  }
  return alerts
}
