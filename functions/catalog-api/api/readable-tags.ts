/** The tags whose runs a caller may see. */
import { type Caller, tagsAllowed } from '../../../shared/access/caller.ts'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import type { Context } from '../../../shared/context.ts'
import { unknownTag } from '../../../shared/queries/known-tags.ts'
import { refusal } from '../http/problem.ts'
import type { ApiContext } from '../http/route.ts'

/**
 * The requested tags, or all that the caller may see. A requested tag without the right, or one that the catalogue
 * does not know, is refused: an empty list would claim that it has no runs.
 */
export async function readableTags(
  { database }: Pick<Context<'database'>, 'database'>,
  c: ApiContext,
  asked: readonly string[] | null,
): Promise<typeof EVERY_TAG | readonly string[]> {
  const caller = c.get('caller')
  const allowed = tagsAllowed(caller, 'read')
  if (asked === null) return allowed
  const hidden = asked.find((tag) => allowed !== EVERY_TAG && !allowed.includes(tag))
  if (hidden !== undefined) throw notFor(caller, `see runs of ${hidden}`)
  // A right for this tag alone was given by somebody who named it, perhaps before its first run.
  const unknown = allowed === EVERY_TAG ? await unknownTag(database, asked) : null
  if (unknown !== null) throw refusal(404, unknown)
  return asked
}

/** An anonymous caller is asked to sign in; an identified one is told which right is missing. */
export const notFor = (caller: Caller, what: string) =>
  caller.kind === 'anonymous'
    ? refusal(401, `sign in to ${what}, or send an API token`, { 'www-authenticate': 'Bearer' })
    : refusal(403, `${caller.name} may not ${what}`)
