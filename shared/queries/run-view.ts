/**
 * Runs as the API, the pages and the command show them: names of the field, times as ISO 8601 in UTC, truth
 * values as such. Pure.
 */

import type { Replica } from '../database/replica-schema.ts'
import type { Run, RunFile } from '../database/schema.ts'
import type { RunDetails } from './runs.ts'
import { shownParameters } from './shown-parameters.ts'

export type RunView = ReturnType<typeof runView>

const iso = (at: Date) => at.toISOString()
const isoOrNull = (at: Date | null) => at?.toISOString() ?? null

export function runView(run: Run) {
  return {
    tag: run.tag,
    runNumber: run.run_number,
    startedAt: isoOrNull(run.started_at),
    stoppedAt: isoOrNull(run.stopped_at),
    complete: run.complete === 1,
    problem: run.problem,
    integrity: run.integrity,
    eventCount: run.event_count,
    sizeBytes: run.size_bytes,
    fileCount: run.file_count,
    pedestal: run.pedestal === null ? null : run.pedestal === 1,
    description: run.description,
    firstEventAt: isoOrNull(run.first_event_at),
    lastEventAt: isoOrNull(run.last_event_at),
    cataloguedAt: iso(run.catalogued_at),
    updatedAt: iso(run.updated_at),
  }
}

export function fileView(file: RunFile) {
  return {
    bucket: file.bucket,
    key: file.object_key,
    live: file.is_live === 1,
    subrun: file.subrun,
    etag: file.etag,
    versionId: file.version_id,
    lastModified: iso(file.last_modified),
    compression: file.compression,
    sizeBytes: file.size_bytes,
    uncompressedBytes: file.uncompressed_bytes,
    md5: file.md5,
    sha256: file.sha256,
    adler32: file.adler32,
    crc64nvme: file.crc64nvme,
    integrity: file.integrity,
    digestsCompared: file.digests_compared,
    complete: file.complete === 1,
    problem: file.problem,
    problemCode: file.problem_code,
    problemOffset: file.problem_offset,
    warnings: file.warnings,
    eventCount: file.event_count,
    internalEvents: file.internal_events,
    camera: file.camera,
    digitizers: file.digitizers,
    cataloguedAt: iso(file.catalogued_at),
    supersededAt: isoOrNull(file.superseded_at),
  }
}

export function replicaView(replica: Replica) {
  return {
    kind: replica.kind,
    endpoint: replica.endpoint,
    url: replica.url,
    bucket: replica.bucket,
    key: replica.object_key,
    state: replica.state,
    sizeBytes: replica.size_bytes,
    md5: replica.md5,
    adler32: replica.adler32,
    sha256: replica.sha256,
    priority: replica.priority,
    requestedAt: iso(replica.requested_at),
    requestedBy: replica.requested_by,
    startedAt: isoOrNull(replica.started_at),
    storedAt: isoOrNull(replica.stored_at),
    verifiedAt: isoOrNull(replica.verified_at),
    verifiedBy: replica.verified_by,
    checkedAt: isoOrNull(replica.checked_at),
    expiresAt: isoOrNull(replica.expires_at),
    deletedAt: isoOrNull(replica.deleted_at),
    reference: replica.reference,
    attempts: replica.attempts,
    nextAttemptAt: isoOrNull(replica.next_attempt_at),
    lastError: replica.last_error,
  }
}

/**
 * One use of a run number with all that is known of it. `uses`: all of them, this one too, the current one
 * first.
 */
export function runDetailsView(
  { run, files, replicas, requests, history, ...more }: RunDetails,
  uses: readonly Run[],
) {
  return {
    ...runView(run),
    ...useView(run),
    parameters: shownParameters(run.parameters),
    ...more,
    files: files.map(fileView),
    replicas: replicas.map(replicaView),
    requests: requests.map((request) => ({
      ...request,
      createdAt: iso(request.createdAt),
      sentAt: isoOrNull(request.sentAt),
    })),
    history: history.map((line) => ({ ...line, at: iso(line.at) })),
    uses: uses.map((use) => ({
      ...useView(use),
      startedAt: isoOrNull(use.started_at),
      fileCount: use.file_count,
      problem: use.problem,
    })),
  }
}

/** Numbers are sometimes used again: `use` tells one use from the next. */
const useView = (run: Run) => ({ use: run.id, current: run.is_current === 1 })
