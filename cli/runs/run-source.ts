/**
 * Where the commands read about runs: the catalogue's API, or the catalogue itself for who has its
 * credentials. Both answer alike.
 */
import type { RunItem, ShownRun } from './run-shapes.ts'
import type { RunWish } from './run-wish.ts'

export interface RunPage {
  readonly runs: readonly RunItem[]
  /** More fit than were found so far. */
  readonly more: boolean
}

export interface RunSource {
  /**
   * Page after page by keyset, up to the limit of the wish; runs that arrive meanwhile are neither repeated
   * nor make others missing.
   * @throws InvalidInputError when who asks may not see a tag, or the search takes too long.
   */
  find(wish: RunWish, signal: AbortSignal): AsyncIterable<RunPage>
  /**
   * The current use of a run number, and with `all` the earlier ones after it.
   * @throws InvalidInputError when there is no such run, or it must be said of which tag.
   */
  show(
    run: { readonly runNumber: number; readonly tag: string | undefined },
    all: boolean,
    signal: AbortSignal,
  ): Promise<Shown>
}

export interface Shown {
  readonly runs: readonly ShownRun[]
  /** How often the number was used. */
  readonly uses: number
}
