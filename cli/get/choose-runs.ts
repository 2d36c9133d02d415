/** Which runs are meant by numbers or a range. */
import { InvalidInputError } from '../../shared/errors.ts'
import type { RunRange } from '../arguments.ts'
import { checkOneTag, named } from '../runs/one-tag.ts'
import type { RunName } from '../runs/run-source.ts'
import type { LinkSource } from './link-source.ts'

/** @throws InvalidInputError when the run is not in the catalogue, or it must be said of which tag it is meant. */
export async function chooseRun(source: LinkSource, number: number, tag: string | undefined, signal: AbortSignal): Promise<RunName> {
  const runs = await source.runsIn({ from: number, to: number, tag }, signal)
  checkOneTag(runs, `is a run ${number}`)
  const [run] = runs
  if (run === undefined) throw new InvalidInputError(`${named(number, tag)} is not in the catalogue`)
  return run
}

/** @throws InvalidInputError when there is none in the range, or there are some of several tags. */
export async function chooseRange(
  source: LinkSource,
  range: RunRange,
  tag: string | undefined,
  signal: AbortSignal,
): Promise<readonly RunName[]> {
  const what = `from ${range.from} to ${range.to}`
  const runs = await source.runsIn({ ...range, tag }, signal)
  if (runs.length === 0) throw new InvalidInputError(`the catalogue has no runs ${what}${tag === undefined ? '' : ` of ${tag}`}`)
  checkOneTag(runs, `are runs ${what}`)
  return runs
}
