/** Alerts about runs and their files, and what ends them. Pure. */
import type { CataloguedRun } from '../database/schema.ts'
import type { AlertRule } from '../messages/alert-rules.ts'
import type { ObjectName, RunId } from '../run.ts'
import type { Request } from '../work/outbox.ts'
import { alert, type Ended } from '../work/raise-alert.ts'
import { type CataloguedFile, occurrenceOf } from './next-steps.ts'
import { lacksCamera, triggerEvents } from './open-problems.ts'

/**
 * The alerts about a file, at most one per condition. Of a file that does not count only the contents and the
 * name matter: it makes no run incomplete.
 */
export function fileAlerts(file: CataloguedFile): readonly Request[] {
  const { metadata, run, version } = file
  const about = { run, object: nameOf(version), cause: occurrenceOf(file) }
  const fileName = version.key.slice(version.key.lastIndexOf('/') + 1)
  const ofRun = file.counts ? `run ${run.runNumber} of` : `does not count for run ${run.runNumber} of`
  const named = `${fileName} (${ofRun} ${run.tag})`
  const size = { sizeBytes: metadata.sizeBytes, events: metadata.eventCount }
  const alerts: Request[] = []
  if (file.integrity === 'mismatch') {
    const wrong = file.comparisons.find((comparison) => !comparison.agrees)
    const summary = `${named}: the ${wrong?.algorithm} in the store differs from the one stated by the ${wrong?.by}; keep the local file`
    const facts = { ...size, md5: metadata.checksums.md5 }
    alerts.push(alert({ rule: 'checksum-mismatch', severity: 'page', summary, facts, ...about }))
  }
  if (file.counts && metadata.problem !== null) {
    const summary = `${named} is incomplete: ${metadata.problem.message}`
    alerts.push(alert({ rule: 'incomplete-file', severity: 'warning', summary, facts: size, ...about }))
  }
  const mismatch = metadata.warnings.find((warning) => warning.code === 'run-number-mismatch')
  if (mismatch !== undefined) {
    const summary = `${named}: ${mismatch.message}`
    alerts.push(alert({ rule: 'run-number-mismatch', severity: 'error', summary, ...about }))
  }
  if (file.counts && lacksCamera(metadata)) {
    const triggers = triggerEvents(metadata)
    const summary = `${named} has ${triggers} triggers and no camera frame (bank CAM0 to CAM9)`
    const facts = { ...size, triggers }
    alerts.push(alert({ rule: 'no-camera-bank', severity: 'warning', summary, facts, ...about }))
  }
  return alerts
}

const nameOf = ({ bucket, key }: ObjectName): ObjectName => ({ bucket, key })

/** Rules about what a file of a run contains. */
const OF_CONTENTS = [
  'checksum-mismatch',
  'incomplete-file',
  'run-number-mismatch',
  'no-camera-bank',
  'same-contents',
] as const satisfies readonly AlertRule[]
/** Rules about an object that could not be catalogued. */
const OF_ARRIVAL = ['invalid-file', 'arrival-failed', 'object-gone'] as const satisfies readonly AlertRule[]

/**
 * What ends when a file is catalogued: all that was wrong with the object, and with the file that was under its key
 * before, except for what is alerted about it now.
 * @param named the run that its key names. @param runs the run that it belongs to, and the one before.
 */
export function endedByFile(
  object: ObjectName,
  named: RunId,
  runs: readonly CataloguedRun[],
  alerts: readonly Request[],
): readonly Ended[] {
  const summary = `${object.key} was read and catalogued`
  const still = new Set(
    alerts.flatMap(({ queue, body }) => (queue === 'alerts' ? [`${body.rule} ${body.runNumber}`] : [])),
  )
  return [
    ...endedByReading(object, named, summary),
    ...runs.flatMap((run) =>
      OF_CONTENTS.filter((rule) => !still.has(`${rule} ${run.runNumber}`)).map((rule) => ({
        rule,
        run,
        object: nameOf(object),
        summary: `${summary}: the former contents do not count any more`,
      })),
    ),
  ]
}

/** What ends when an object was read, or is known to be superseded. @param named the run that its key names. */
export const endedByReading = (
  object: ObjectName,
  named: RunId,
  summary: string,
  rules: readonly (typeof OF_ARRIVAL)[number][] = OF_ARRIVAL,
): readonly Ended[] => {
  const run = { id: null, tag: named.tag, runNumber: named.runNumber }
  return rules.map((rule) => ({ rule, run, object: nameOf(object), summary }))
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
  return alert({
    rule: 'run-number-reused',
    severity: 'error',
    summary:
      object === null
        ? `${name} is used again: the entry of the earlier run is kept, but its file will be overwritten if the new file has the same name`
        : `${name} was used again: the entry of the earlier run is kept, but its file under ${object.key} may be overwritten`,
    run,
    object,
    cause: `${run.tag}/${run.runNumber}/${startedEpoch}`,
  })
}

/** A file has the bytes of a file of another run, which is under another tag or number. */
export function sameContentsAlert(
  run: CataloguedRun,
  object: ObjectName,
  twin: { readonly runId: number; readonly objectKey: string },
  sha256: string,
): Request {
  return alert({
    rule: 'same-contents',
    severity: 'warning',
    summary: `${object.key} has the same bytes as ${twin.objectKey}: one of them was probably sent under a wrong tag or name`,
    facts: { sameAs: twin.objectKey },
    run,
    object: nameOf(object),
    cause: `${sha256}:${[run.id, twin.runId].toSorted((a, b) => a - b).join('-')}`,
  })
}

/** The Runlog and the file state different begins of a run. Both times are quoted as written there. */
export function differingStartAlert(run: CataloguedRun, inRunlog: string, inFile: string): Request {
  return alert({
    rule: 'runlog-start-differs',
    severity: 'warning',
    summary: `the Runlog stated ${inRunlog} as the begin of run ${run.runNumber} of ${run.tag}, but its file states ${inFile}, which counts`,
    facts: { inRunlog, inFile },
    run,
    cause: `${run.tag}/${run.runNumber}/${inRunlog}`,
  })
}
