/** Decides what follows when a file was catalogued: tape copy and reconstruction. Alerts: run-alerts.ts. Pure. */
import type { CataloguedRun, DigestComparison, Integrity } from '../database/schema.ts'
import type { FileMetadata } from '../extraction/metadata.ts'
import type { ObjectVersion } from '../run.ts'
import type { Request } from '../work/outbox.ts'
import type { RunSummary } from './aggregate.ts'
import { identityOf } from './arrivals.ts'
import { cameraBanks, triggerEvents } from './open-problems.ts'

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

/** Identifies this version under its key. A version that returns after other contents is a new occurrence. */
export function occurrenceOf({
  version,
  otherContents,
}: Pick<CataloguedFile, 'version' | 'otherContents'>): string {
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
