/** The result of extraction, before anything is stored. */
import type { Camera } from '../midas/camera.ts'
import type { DigitizerBoard } from '../midas/digitizer.ts'
import type { Finding } from '../midas/finding.ts'
import type { RunParameters } from './run-parameters.ts'

export interface BankStatistics {
  readonly count: number
  readonly bytes: number
}

export interface Checksums {
  /** Lower-case hex. */
  readonly md5: string
  readonly sha256: string
  /** Eight lower-case hex digits. */
  readonly adler32: string
  /** Further requested digests (those that can be compared with the store), lower-case hex. */
  readonly crc32?: string
  readonly crc32c?: string
  readonly sha1?: string
  readonly crc64nvme?: string
  /** ETag that S3 gives these bytes when they are uploaded in parts of the requested size. */
  readonly multipartEtag?: string
}

export interface FileMetadata {
  readonly fileName: string
  /** From the begin-of-run event, or from the file name if there is none. */
  readonly runNumber: number
  /** Subrun number in the file name; null for a run of one file. */
  readonly subrun: number | null
  readonly compression: 'none' | 'gzip' | 'lz4' | 'bzip2'
  /** True when every event up to and including the end-of-run event was read and nothing was damaged. */
  readonly complete: boolean
  /** Why it is not complete (the most severe reason); null when it is. */
  readonly problem: Finding | null
  readonly warnings: readonly Finding[]
  /** Of the file as stored. */
  readonly sizeBytes: number
  /** Of the MIDAS stream inside. */
  readonly uncompressedBytes: number
  readonly checksums: Checksums
  /** Data events only: begin-of-run, message and end-of-run are in `internalEvents`. */
  readonly eventCount: number
  /** Event id (decimal text) → data events. */
  readonly eventsById: Readonly<Record<string, number>>
  /** '0x8000' begin-of-run, '0x8001' end-of-run, '0x8002' message → count. */
  readonly internalEvents: Readonly<Record<string, number>>
  /** Of data events, Unix seconds; null when there is none. */
  readonly firstEventTime: number | null
  readonly lastEventTime: number | null
  /** Event id → number of missing serial numbers between the first and the last seen. */
  readonly serialGaps: Readonly<Record<string, number>>
  /** Bank name (escaped where it is not printable ASCII) → count and bytes over all data events. */
  readonly banks: Readonly<Record<string, BankStatistics>>
  /** By their numbers; empty if no bank has frames of a known size. */
  readonly cameras: readonly Camera[]
  /** The digitizer boards of the first event with a DGH0 bank; null when there is none. */
  readonly digitizers: readonly DigitizerBoard[] | null
  /** Run parameters by Runlog column; null for every column when there is no readable ODB dump. */
  readonly odb: RunParameters
  /**
   * Begin of run by the ODB, Unix seconds (`/Runinfo/Start time binary`); null when unknown. Distinguishes
   * the generations of a run number.
   */
  readonly startedAt: number | null
  /**
   * End of run by the end-of-run dump, Unix seconds; null while the run continues in another subrun, or when
   * unknown.
   */
  readonly stoppedAt: number | null
}
