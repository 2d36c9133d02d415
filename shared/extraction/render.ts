/** A file's metadata as one JSON object, for the CLI and programs that use it. */

import type { Camera } from '../midas/camera.ts'
import type { DigitizerBoard } from '../midas/digitizer.ts'
import type { BankStatistics, FileMetadata } from './metadata.ts'
import type { RunParameters } from './run-parameters.ts'

export interface RenderedMetadata {
  readonly fileName: string
  readonly runNumber: number
  readonly subrun: number | null
  /** Site or detector; null when unknown. */
  readonly tag: string | null
  readonly complete: boolean
  /** A sentence; null when complete. */
  readonly problem: string | null
  readonly problemCode: string | null
  /** Byte offset; of the compressed file when the problem is the compression. */
  readonly problemOffset: number | null
  /** Sentences. */
  readonly warnings: readonly string[]
  readonly warningCodes: readonly string[]
  readonly compression: FileMetadata['compression']
  readonly sizeBytes: number
  readonly uncompressedBytes: number
  readonly md5: string
  readonly sha256: string
  readonly adler32: string
  readonly eventCount: number
  readonly eventsById: Readonly<Record<string, number>>
  readonly internalEvents: Readonly<Record<string, number>>
  /** Unix seconds. */
  readonly firstEventTime: number | null
  readonly lastEventTime: number | null
  readonly serialGaps: Readonly<Record<string, number>>
  readonly banks: Readonly<Record<string, BankStatistics>>
  readonly cameras: readonly Camera[]
  readonly digitizers: readonly DigitizerBoard[] | null
  /** Run parameters by column of the Runlog. */
  readonly odb: RunParameters
  /** Unix seconds. */
  readonly startedAt: number | null
  readonly stoppedAt: number | null
}

export function renderMetadata(metadata: FileMetadata, tag: string | null): RenderedMetadata {
  const { checksums, problem, warnings, fileName, runNumber, subrun, complete, ...rest } = metadata
  return {
    fileName,
    runNumber,
    subrun,
    tag,
    complete,
    problem: problem?.message ?? null,
    problemCode: problem?.code ?? null,
    problemOffset: problem?.offset ?? null,
    warnings: warnings.map(({ message }) => message),
    warningCodes: warnings.map(({ code }) => code),
    ...checksums,
    ...rest,
  }
}
