/** What the parts of the webdav driver share. */
import type { Logger } from '../../log.ts'
import type { Folders } from './folders.ts'
import type { TapeHttp } from './http.ts'
import type { Places } from './places.ts'
import type { TapeSystem } from './tape-system.ts'

export interface TransferLimits {
  /** Longest time one copy may take. */
  readonly copySeconds: number
  /** A third-party copy that sends nothing for this long is given up. */
  readonly silenceSeconds: number
  /**
   * A third-party copy that transfers no byte for this long is given up. Longer, since endpoints may queue a
   * copy.
   */
  readonly progressSeconds: number
  /** A file of unknown outcome that did not grow for this long is considered complete. */
  readonly settleSeconds: number
  /** After a failed third-party copy, the endpoint is not asked for another one for this long. */
  readonly withoutThirdPartySeconds: number
}

export interface ThirdPartyMemory {
  isWorthTrying(direction: 'pull' | 'push'): boolean
  failed(direction: 'pull' | 'push'): void
}

export interface Endpoint {
  readonly http: TapeHttp
  readonly places: Places
  readonly folders: Folders
  /**
   * The value of the header Destination for a file whose folder exists. @throws TransientError when it cannot be
   * found out how the endpoint reads it.
   */
  destinationOf(name: string, signal: AbortSignal): Promise<string>
  readonly limits: TransferLimits
  readonly thirdParty: ThirdPartyMemory
  /** The tape system behind the endpoint. @throws TransientError when that cannot be determined. */
  tapeSystem(signal: AbortSignal): Promise<TapeSystem>
  readonly log: Logger | null
  /** Monotonic clock, milliseconds. */
  readonly now: () => number
}
