/** Inputs for catalogue tests: metadata of files, as extraction returns it. */
import { createHash } from 'node:crypto'
import type { FileMetadata } from '../../shared/extraction/metadata.ts'
import type { ObjectVersion } from '../../shared/run.ts'

export const BEGIN_OF_RUN = 1_702_593_197

/**
 * The metadata of a complete run of one file, with changes by the test. `content` stands for the bytes: the
 * checksums are computed from it.
 */
export function metadataOf(
  runNumber: number,
  changes: Partial<FileMetadata> = {},
  content = `run ${runNumber}`,
): FileMetadata {
  const digest = (algorithm: string) => createHash(algorithm).update(content).digest('hex')
  return {
    fileName: `run${String(runNumber).padStart(5, '0')}.mid.gz`,
    runNumber,
    subrun: null,
    compression: 'gzip',
    complete: true,
    problem: null,
    warnings: [],
    sizeBytes: 1000 + content.length,
    uncompressedBytes: 3000,
    checksums: { md5: digest('md5'), sha256: digest('sha256'), adler32: digest('md5').slice(0, 8) },
    eventCount: 21,
    eventsById: { '1': 20, '5': 1 },
    internalEvents: { '0x8000': 1, '0x8001': 1 },
    firstEventTime: BEGIN_OF_RUN,
    lastEventTime: BEGIN_OF_RUN + 60,
    serialGaps: { '1': 0, '5': 0 },
    banks: { CAM0: { count: 20, bytes: 2000 }, DIG0: { count: 20, bytes: 500 } },
    cameras: [{ number: 0, model: 'ORCA Fusion', width: 2304, height: 2304, sizeBytes: 10_616_832 }],
    digitizers: null,
    odb: {
      run_number: runNumber,
      run_description: 'test',
      start_time: '2023-12-14 23:33:17',
      exposure_sec: 0.3,
      pedestal_run: 0,
      storage_local_status: 0,
      stop_time: '2023-12-14 23:34:17',
      number_of_events: 20,
    },
    startedAt: BEGIN_OF_RUN,
    stoppedAt: BEGIN_OF_RUN + 60,
    ...changes,
  }
}

export function versionOf(key: string, etag: string, changes: Partial<ObjectVersion> = {}): ObjectVersion {
  return {
    bucket: 'cygno-data',
    key,
    etag,
    versionId: null,
    sizeBytes: 1000,
    lastModified: new Date('2026-01-15T08:00:00Z'),
    ...changes,
  }
}
