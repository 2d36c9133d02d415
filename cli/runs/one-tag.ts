/** Run numbers repeat between sites: a run without a tag may be ambiguous. */
import { InvalidInputError } from '../../shared/errors.ts'

/**
 * @param what verb and object of the sentence: `is a run 12345`.
 * @throws InvalidInputError that lists the tags, when there are several.
 */
export function checkOneTag(runs: readonly { readonly tag: string }[], what: string): void {
  const tags = [...new Set(runs.map(({ tag }) => tag))].toSorted()
  if (tags.length > 1)
    throw new InvalidInputError(
      `there ${what} of ${tags.slice(0, -1).join(', ')} and of ${tags.at(-1)}: give --tag`,
    )
}

export const named = (runNumber: number, tag: string | undefined) =>
  `run ${runNumber}${tag === undefined ? '' : ` of ${tag}`}`
