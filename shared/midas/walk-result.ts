/** Limits and result of one walk over a MIDAS stream. */
import type { Finding } from './finding.ts'

export interface Limits {
  /** A larger event is treated as a damaged header. */
  readonly maxEventBytes: number
  /** A larger ODB dump is skipped. */
  readonly maxDumpBytes: number
}

/** Where and why the walk ended before the stream. */
export interface Stop {
  readonly code: string
  readonly offset: number
  readonly message: string
}

export interface BankContents {
  readonly type: number
  readonly data: Uint8Array
}

export interface WalkResult {
  /** Length of the stream. */
  readonly uncompressedBytes: number
  /**
   * Serial number of the begin-of-run event, or of the end-of-run event if there is no other; null if there
   * is neither.
   */
  readonly runNumber: number | null
  /** Data events that are complete and undamaged. */
  readonly eventCount: number
  /** Event id (decimal text) → data events. */
  readonly eventsById: Readonly<Record<string, number>>
  /** '0x8000', '0x8001', '0x8002' → events whose header, at least, was read. */
  readonly internalEvents: Readonly<Record<string, number>>
  /** Unix seconds, of data events. */
  readonly firstEventTime: number | null
  readonly lastEventTime: number | null
  /**
   * Event id → serial numbers missing between the lowest and the highest seen; only ids with missing numbers.
   */
  readonly serialGaps: Readonly<Record<string, number>>
  /** Bank name (escaped) → count and bytes, over the counted events. */
  readonly banks: Readonly<Record<string, { readonly count: number; readonly bytes: number }>>
  /** ODB dumps as contained in the file; null when missing or incomplete. */
  readonly beginDump: Uint8Array | null
  readonly endDump: Uint8Array | null
  /** The first DGH0 bank that is not empty. */
  readonly digitizerHeader: BankContents | null
  /** Camera number → size of the first of its banks (CAM0 for camera 0) that is not empty. */
  readonly cameraBytes: ReadonlyMap<number, number>
  /** Damaged events; empty when there are none. */
  readonly damage: readonly Finding[]
  /**
   * Why the stream does not end as a run does: cut, stopped at an invalid header, no end-of-run event. Null
   * when it does.
   */
  readonly ending: Finding | null
  readonly warnings: readonly Finding[]
}
