/** What the parts of the webdav driver share. */
import type { Logger } from '../../log.ts'
import type { TapeRest } from '../tape-rest.ts'
import type { Folders } from './folders.ts'
import type { TapeHttp } from './http.ts'
import type { Places } from './places.ts'

export interface TransferLimits {
  /** Longest time one copy may take. */
  readonly copySeconds: number
  /** A third-party copy that sends nothing for so long is given up. */
  readonly silenceSeconds: number
  /**
   * A third-party copy of which no byte arrives for so long is given up: longer, since endpoints may queue
   * it.
   */
  readonly progressSeconds: number
  /** A file of unknown fate that did not grow for so long grows no more. */
  readonly settleSeconds: number
  /** An endpoint that could not copy by itself is not asked to for so long. */
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
  readonly limits: TransferLimits
  readonly thirdParty: ThirdPartyMemory
  /**
   * The endpoint's Tape REST API; null where it has none. @throws TransientError when that cannot be found
   * out.
   */
  tapeRest(signal: AbortSignal): Promise<TapeRest | null>
  readonly log: Logger | null
  /** Milliseconds that only grow. */
  readonly now: () => number
}
