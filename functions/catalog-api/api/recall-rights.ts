/** Who may recall which runs, and how a recall is refused. */
import { type Caller, mayDo } from '../../../shared/access/caller.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import type { RunId } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import { notFor } from './readable-tags.ts'

/**
 * @param exceed operators alone may exceed budgets and the room in the store.
 * @throws a 403 problem (401 for an anonymous caller) when the caller lacks a right for one of the tags, whether or
 * not the tag has runs.
 */
export function checkRecallRights(
  caller: Caller,
  of: readonly { readonly tag: string }[],
  exceed: boolean,
): void {
  for (const tag of new Set(of.map((each) => each.tag))) {
    if (!mayDo(caller, 'recall', tag)) throw notFor(caller, `recall runs of ${tag}`)
    if (exceed && !mayDo(caller, 'operate', tag)) throw notFor(caller, `exceed the budget of ${tag}`)
  }
}

/** For the audit: `LNGS: 120 to 140, 151; LNF: 7`. */
export const namesOfRuns = (runs: readonly RunId[]): string =>
  [...Map.groupBy(runs, ({ tag }) => tag)]
    .map(([tag, own]) => `${tag}: ${rangesOf(own.map(({ runNumber }) => runNumber)).join(', ')}`)
    .join('; ')

function rangesOf(numbers: readonly number[]): readonly string[] {
  const ranges: { readonly from: number; readonly to: number }[] = []
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last !== undefined && number <= last.to + 1) ranges[ranges.length - 1] = { ...last, to: number }
    else ranges.push({ from: number, to: number })
  }
  return ranges.map(({ from, to }) => (from === to ? String(from) : `${from} to ${to}`))
}

/** A recall that is not possible is a conflict, not a malformed request. */
export function asConflict(error: unknown): never {
  throw error instanceof InvalidInputError ? refusal(409, error.message) : error
}
