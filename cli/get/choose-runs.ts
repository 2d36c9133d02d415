/** The runs that the numbers or the range of a command select. */
import { InvalidInputError } from '../../shared/errors.ts'
import type { RunId } from '../../shared/run.ts'
import type { RunRange } from '../arguments.ts'
import { checkOneTag, named } from '../runs/one-tag.ts'

import type { LinkSource } from './link-source.ts'

/**
 * @throws InvalidInputError when the run is not in the catalogue, or several tags have the number.
 */
export async function chooseRun(
  source: LinkSource,
  number: number,
  tag: string | undefined,
  signal: AbortSignal,
): Promise<RunId> {
  const runs = await source.runsIn({ from: number, to: number, tag }, signal)
  checkOneTag(runs, `is a run ${number}`)
  const [run] = runs
  if (run === undefined) throw new InvalidInputError(`${named(number, tag)} is not in the catalogue`)
  return run
}

/** @throws InvalidInputError when the range has no run, or runs of several tags. */
export async function chooseRange(
  source: LinkSource,
  range: RunRange,
  tag: string | undefined,
  signal: AbortSignal,
): Promise<readonly RunId[]> {
  const what = `from ${range.from} to ${range.to}`
  const runs = await source.runsIn({ ...range, tag }, signal)
  if (runs.length === 0)
    throw new InvalidInputError(`the catalogue has no runs ${what}${tag === undefined ? '' : ` of ${tag}`}`)
  checkOneTag(runs, `are runs ${what}`)
  return runs
}

/** Most ranges listed in the text. */
const NAMED = 20

/**
 * Which numbers of the range have no run: `3 numbers of it are not in the catalogue: 12341, 12343..12344`.
 * Null when all have one.
 * @param runs of the range, by number.
 */
export function missingText({ from, to }: RunRange, runs: readonly RunId[]): string | null {
  const gaps: RunRange[] = []
  let next = from
  for (const { runNumber } of runs) {
    if (runNumber > next) gaps.push({ from: next, to: runNumber - 1 })
    next = runNumber + 1
  }
  if (next <= to) gaps.push({ from: next, to })
  if (gaps.length === 0) return null
  const count = gaps.reduce((sum, gap) => sum + gap.to - gap.from + 1, 0)
  const named = gaps
    .slice(0, NAMED)
    .map((gap) => (gap.from === gap.to ? `${gap.from}` : `${gap.from}..${gap.to}`))
  const more = gaps.length > NAMED ? `, and ${gaps.length - NAMED} more such ranges` : ''
  return `${count} ${count === 1 ? 'number of it is' : 'numbers of it are'} not in the catalogue: ${named.join(', ')}${more}`
}
