/** Numbers repeat between sites: of which of them is a run meant? */
import { InvalidInputError } from '../../shared/errors.ts'

/**
 * @param what that there is, for the sentence: `is a run 12345`.
 * @throws InvalidInputError that names the tags, when there are several.
 */
export function checkOneTag(runs: readonly { readonly tag: string }[], what: string): void {
  const tags = [...new Set(runs.map(({ tag }) => tag))].toSorted()
  if (tags.length > 1)
    throw new InvalidInputError(
      `there ${what} of ${tags.slice(0, -1).join(', ')} and of ${tags.at(-1)}: say --tag`,
    )
}

export const named = (runNumber: number, tag: string | undefined) =>
  `run ${runNumber}${tag === undefined ? '' : ` of ${tag}`}`
