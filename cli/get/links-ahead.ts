/**
 * Links to one run after the other, asked for ahead: a question for each run would be as many as the API
 * takes of one caller in a minute, and small runs come faster.
 */
import type { RunId } from '../../shared/run.ts'
import type { LinkSource, OfferedFile, OfferedRun } from './link-source.ts'
import { isAboutToEnd } from './wanted-file.ts'

/** What is where may change while other runs are fetched. */
const GOOD_FOR_MS = 5 * 60_000

/** @throws InvalidInputError when no file of the run counts any more, or who asks may not have them. */
export type LinksAhead = (run: RunId, signal: AbortSignal) => Promise<readonly OfferedFile[]>

/** @param runs in the order in which they will be asked for; some may be left out. */
export function linksAhead(source: LinkSource, runs: readonly RunId[], now: () => Date): LinksAhead {
  let offers: ReadonlyMap<RunId, OfferedRun> = new Map()
  let askedAt = 0
  const endsSoon = (file: OfferedFile) => file.kind === 'link' && isAboutToEnd(file, now())
  const isGood = ({ files }: OfferedRun) =>
    now().getTime() - askedAt < GOOD_FOR_MS && files?.some(endsSoon) !== true
  const ask = async (run: RunId, signal: AbortSignal) => {
    const coming = [run, ...runs.slice(runs.indexOf(run) + 1)] as const
    askedAt = now().getTime()
    const answer = await source.linksOfFirst(coming, signal)
    offers = new Map(
      answer.flatMap((offer, index) => (coming[index] === undefined ? [] : [[coming[index], offer]])),
    )
    return offers.get(run)
  }
  return async (run, signal) => {
    const known = offers.get(run)
    const offer = known !== undefined && isGood(known) ? known : await ask(run, signal)
    return offer?.files ?? (await source.linksOf(run, signal))
  }
}
