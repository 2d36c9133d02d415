/**
 * Runs as shown by the API, the pages and the command: field names of the domain, times as ISO 8601 in UTC,
 * real booleans. Pure.
 */

import { openProblems } from '../catalogue/open-problems.ts'
import { parameterSources } from '../catalogue/run-parameters.ts'
import type { ShownCopy } from '../database/replica-schema.ts'
import type { Arrival, Run, RunFile } from '../database/schema.ts'
import type { RunDetails } from './runs.ts'
import { shownParameters } from './shown-parameters.ts'

export type RunView = ReturnType<typeof runView>

const iso = (at: Date) => at.toISOString()
const isoOrNull = (at: Date | null) => at?.toISOString() ?? null

export function runView(run: Run) {
  return {
    tag: run.tag,
    runNumber: run.runNumber,
    startedAt: isoOrNull(run.startedAt),
    stoppedAt: isoOrNull(run.stoppedAt),
    complete: run.complete,
    problem: run.problem,
    problems: openProblems(run),
    beforeTakeOver: run.isHistory,
    integrity: run.integrity,
    eventCount: run.eventCount,
    sizeBytes: run.sizeBytes,
    fileCount: run.fileCount,
    pedestal: run.pedestal,
    description: run.description,
    firstEventAt: isoOrNull(run.firstEventAt),
    lastEventAt: isoOrNull(run.lastEventAt),
    cataloguedAt: iso(run.cataloguedAt),
    updatedAt: iso(run.updatedAt),
  }
}

export function fileView(file: RunFile) {
  return {
    bucket: file.bucket,
    key: file.objectKey,
    live: file.isLive,
    counts: file.isLive && file.counts,
    subrun: file.subrun,
    etag: file.etag,
    versionId: file.versionId,
    lastModified: iso(file.lastModified),
    compression: file.compression,
    sizeBytes: file.sizeBytes,
    uncompressedBytes: file.uncompressedBytes,
    md5: file.md5,
    sha256: file.sha256,
    adler32: file.adler32,
    crc64nvme: file.crc64nvme,
    integrity: file.integrity,
    digestsCompared: file.digestsCompared,
    complete: file.complete,
    problem: file.problem,
    problemCode: file.problemCode,
    problemOffset: file.problemOffset,
    warnings: file.warnings,
    eventCount: file.eventCount,
    internalEvents: file.internalEvents,
    cameras: file.cameras,
    digitizers: file.digitizers,
    cataloguedAt: iso(file.cataloguedAt),
    supersededAt: isoOrNull(file.supersededAt),
  }
}

const refusedView = ({ bucket, objectKey: key, reason, finishedAt, receivedAt }: Arrival) => ({
  bucket,
  key,
  reason,
  since: iso(finishedAt ?? receivedAt),
})

function replicaView(replica: ShownCopy) {
  return {
    kind: replica.kind,
    endpoint: replica.endpoint,
    url: replica.url,
    bucket: replica.bucket,
    key: replica.objectKey,
    state: replica.state,
    sizeBytes: replica.sizeBytes,
    md5: replica.md5,
    adler32: replica.adler32,
    sha256: replica.sha256,
    priority: replica.priority,
    requestedAt: iso(replica.requestedAt),
    requestedBy: replica.requestedBy,
    startedAt: isoOrNull(replica.startedAt),
    storedAt: isoOrNull(replica.storedAt),
    verifiedAt: isoOrNull(replica.verifiedAt),
    verifiedBy: replica.verifiedBy,
    verifiedEvidence: replica.verifiedEvidence,
    doubtedEvidence: replica.doubtedEvidence,
    checkedAt: isoOrNull(replica.checkedAt),
    expiresAt: isoOrNull(replica.expiresAt),
    deletedAt: isoOrNull(replica.deletedAt),
    reference: replica.reference,
    attempts: replica.attempts,
    nextAttemptAt: isoOrNull(replica.nextAttemptAt),
    lastError: replica.lastError,
  }
}

/** Parameters with their sources. */
export const parametersView = (run: Run) => ({
  parameters: shownParameters(run.parameters),
  parameterSources: shownParameters(parameterSources(run)),
  corrections: run.corrections ?? {},
})

/**
 * One generation of a run number with all its details. `uses`: all generations including this one, the
 * current one first.
 */
export function runDetailsView(
  { run, files, refused, replicas, requests, alerts, history, ...more }: RunDetails,
  uses: readonly Run[],
) {
  return {
    ...runView(run),
    ...generationView(run),
    ...parametersView(run),
    ...more,
    files: files.map(fileView),
    refused: refused.map(refusedView),
    replicas: replicas.map(replicaView),
    requests: requests.map((request) => ({
      ...request,
      createdAt: iso(request.createdAt),
      sentAt: isoOrNull(request.sentAt),
    })),
    alerts: alerts.map((alert) => ({
      ...alert,
      since: iso(alert.since),
      lastSeen: iso(alert.lastSeen),
      acknowledgedAt: isoOrNull(alert.acknowledgedAt),
      resolvedAt: isoOrNull(alert.resolvedAt),
    })),
    history: history.map((line) => ({ ...line, at: iso(line.at) })),
    uses: uses.map((use) => ({
      ...generationView(use),
      startedAt: isoOrNull(use.startedAt),
      fileCount: use.fileCount,
      problem: use.problem,
    })),
  }
}

/** Run numbers are sometimes reused: `use` identifies the generation. */
const generationView = (run: Run) => ({ use: run.id, current: run.isCurrent })
