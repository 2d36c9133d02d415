/** Where links come from: the catalogue's API, or in tests what plays it. */
import type { RunId } from '../../shared/run.ts'
import type { RunRange } from '../arguments.ts'

import type { Link, WantedFile } from './wanted-file.ts'

/**
 * A file of a run with a link to it, or why there is none now: what of shared/copies/links/run-links.ts is
 * needed here.
 */
export type OfferedFile = WantedFile &
  (
    | ({ readonly kind: 'link' } & Link)
    | {
        readonly kind: 'recalling'
        readonly state: string
        readonly requestedAt: Date
        readonly detail: string | null
      }
    | { readonly kind: 'on-tape'; readonly how: string }
    | { readonly kind: 'unavailable'; readonly why: string }
  )

export interface LinkWish {
  /** How long links are to be valid; the service limits it. */
  readonly seconds?: number | undefined
  /** Asks for what is only on tape to be brought back. */
  readonly recall?: boolean | undefined
}

export interface OfferedRun extends RunId {
  /** Null when there are none: asked for by itself, the run says why. */
  readonly files: readonly OfferedFile[] | null
}

export interface LinkSource {
  /** Runs that the catalogue has, of every tag unless one is named: by tag, then by number. */
  runsIn(
    range: RunRange & { readonly tag: string | undefined },
    signal: AbortSignal,
  ): Promise<readonly RunId[]>
  /**
   * In the order of the subruns. @throws InvalidInputError when no file of the run counts any more, or who
   * asks may not have them.
   */
  linksOf(run: RunId, signal: AbortSignal, wish?: LinkWish): Promise<readonly OfferedFile[]>
  /**
   * The same of the first of these runs, in their order: of as many as one question is good for, one at
   * least.
   * @throws InvalidInputError when they are refused.
   */
  linksOfFirst(runs: readonly [RunId, ...RunId[]], signal: AbortSignal): Promise<readonly OfferedRun[]>
}
