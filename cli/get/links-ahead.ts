/**
 * Links to one run after the other, requested for many runs at once: with one request for each small run the
 * caller would exceed the API's rate limit.
 */
import type { RunId } from '../../shared/run.ts'
import type { LinkSource, OfferedFile, OfferedRun } from './link-source.ts'
import { isAboutToEnd } from './wanted-file.ts'

/** Cached answers are used for so long: copies may move while other runs are fetched. */
const LIFETIME_MS = 5 * 60_000

/** @throws InvalidInputError when the run has no current file, or the caller is not allowed to get links. */
export type LinksAhead = (run: RunId, signal: AbortSignal) => Promise<readonly OfferedFile[]>

/** @param runs in the order of the later calls; calls may skip some. */
export function linksAhead(source: LinkSource, runs: readonly RunId[], now: () => Date): LinksAhead {
  let offers: ReadonlyMap<RunId, OfferedRun> = new Map()
  let requestedAt = 0
  const endsSoon = (file: OfferedFile) => file.kind === 'link' && isAboutToEnd(file, now())
  const isValid = ({ files }: OfferedRun) =>
    now().getTime() - requestedAt < LIFETIME_MS && files?.some(endsSoon) !== true
  const requestLinks = async (run: RunId, signal: AbortSignal) => {
    const upcoming = [run, ...runs.slice(runs.indexOf(run) + 1)] as const
    requestedAt = now().getTime()
    const answer = await source.linksOfFirst(upcoming, signal)
    offers = new Map(
      answer.flatMap((offer, index) => (upcoming[index] === undefined ? [] : [[upcoming[index], offer]])),
    )
    return offers.get(run)
  }
  return async (run, signal) => {
    const cached = offers.get(run)
    const offer = cached !== undefined && isValid(cached) ? cached : await requestLinks(run, signal)
    return offer?.files ?? (await source.linksOf(run, signal))
  }
}
