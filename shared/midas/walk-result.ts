/** What one walk over a MIDAS stream is given and gives. */
import type { Finding } from './finding.ts'

export interface Limits {
  /** A larger event is taken for a damaged header. */
  readonly maxEventBytes: number
  /** A larger ODB dump is passed over. */
  readonly maxDumpBytes: number
}

/** Where and why the walk ended before the stream did. */
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
   * Serial number of the begin-of-run event; of the end-of-run event where there is no other; null where
   * there is neither.
   */
  readonly runNumber: number | null
  /** Data events that are whole and undamaged. */
  readonly eventCount: number
  /** Event id (decimal text) → data events. */
  readonly eventsById: Readonly<Record<string, number>>
  /** '0x8000', '0x8001', '0x8002' → events of which at least the header is there. */
  readonly internalEvents: Readonly<Record<string, number>>
  /** Unix seconds, of data events. */
  readonly firstEventTime: number | null
  readonly lastEventTime: number | null
  /** Event id → serial numbers missing between the lowest and the highest seen; only ids that miss some. */
  readonly serialGaps: Readonly<Record<string, number>>
  /** Bank name (escaped) → count and bytes, over the counted events. */
  readonly banks: Readonly<Record<string, { readonly count: number; readonly bytes: number }>>
  /** ODB dumps as they stand in the file; null where there is none, or not all of it. */
  readonly beginDump: Uint8Array | null
  readonly endDump: Uint8Array | null
  /** The first DGH0 bank that is not empty. */
  readonly digitizerHeader: BankContents | null
  /** Camera number → size of the first of its banks (CAM0 for camera 0) that is not empty. */
  readonly cameraBytes: ReadonlyMap<number, number>
  /** Events that are damaged; empty when none is. */
  readonly damage: readonly Finding[]
  /**
   * Why the stream does not end as a run does: cut, stopped at a senseless header, no end-of-run event. Null
   * when it does.
   */
  readonly ending: Finding | null
  readonly warnings: readonly Finding[]
}
