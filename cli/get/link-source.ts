/** The source of links: the catalogue's API, or its replacement in tests. */
import type { RunId } from '../../shared/run.ts'
import type { RunRange } from '../arguments.ts'

import type { Link, WantedFile } from './wanted-file.ts'

/**
 * A file of a run with a link to it, or why it has none now: the part of shared/copies/links/run-links.ts that
 * is needed here.
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

export interface LinkRequest {
  /** Lifetime of the links; the service limits it. */
  readonly seconds?: number | undefined
  /** Request the recall of files that are only on tape. */
  readonly recall?: boolean | undefined
}

export interface OfferedRun extends RunId {
  /** Null when there are none: `linksOf` of the run then gives the reason. */
  readonly files: readonly OfferedFile[] | null
}

export interface LinkSource {
  /** Runs of the catalogue in the range, of every tag unless one is named: by tag, then by number. */
  runsIn(
    range: RunRange & { readonly tag: string | undefined },
    signal: AbortSignal,
  ): Promise<readonly RunId[]>
  /**
   * The files of a run in the order of the subruns.
   * @throws InvalidInputError when the run has no current file, or the caller is not allowed to get links.
   */
  linksOf(run: RunId, signal: AbortSignal, request?: LinkRequest): Promise<readonly OfferedFile[]>
  /**
   * The same for the first of these runs, in their order: for at least one, and at most as many as one request
   * can have.
   * @throws InvalidInputError when the request is refused.
   */
  linksOfFirst(runs: readonly [RunId, ...RunId[]], signal: AbortSignal): Promise<readonly OfferedRun[]>
}
