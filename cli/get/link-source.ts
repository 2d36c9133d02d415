/** Where links come from: the catalogue's API, or the catalogue itself for who has its credentials. */
import type { Link, WantedFile } from './wanted-file.ts'

export interface RunName {
  readonly tag: string
  readonly runNumber: number
}

export interface RunRange {
  /** Both ends included. */
  readonly from: number
  readonly to: number
  readonly tag: string | undefined
}

/** A file of a run with a link to it, or why there is none now: what of shared/replicas/run-links.ts is needed here. */
export type OfferedFile = WantedFile &
  (
    | ({ readonly kind: 'link' } & Link)
    | { readonly kind: 'recalling'; readonly state: string; readonly detail: string | null }
    | { readonly kind: 'on-tape'; readonly how: string }
    | { readonly kind: 'unavailable'; readonly why: string }
  )

export interface LinkSource {
  /** Runs that the catalogue has, of every tag unless one is named: by tag, then by number. */
  runsIn(range: RunRange, signal: AbortSignal): Promise<readonly RunName[]>
  /** In the order of the subruns. @throws InvalidInputError when no file of the run counts any more, or who asks may not have them. */
  linksOf(run: RunName, signal: AbortSignal): Promise<readonly OfferedFile[]>
  close(): Promise<void>
}
