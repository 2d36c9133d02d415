/** Whose runs a caller may see. */
import { type Caller, tagsAllowed } from '../../../shared/access/caller.ts'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import { refusal } from '../http/problem.ts'
import type { ApiContext } from '../http/route.ts'

/**
 * The tags to look into: those that are asked for, or all that the caller may see. One that is asked for and
 * may not be seen is refused: an empty list would say that it has no runs.
 */
export function readableTags(
  c: ApiContext,
  asked: readonly string[] | null,
): typeof EVERY_TAG | readonly string[] {
  const caller = c.get('caller')
  const allowed = tagsAllowed(caller, 'read')
  if (asked === null) return allowed
  const hidden = asked.find((tag) => allowed !== EVERY_TAG && !allowed.includes(tag))
  if (hidden === undefined) return asked
  throw notFor(caller, `see runs of ${hidden}`)
}

/** Who is nobody is asked to say who they are; who is somebody learns what is not for them. */
export const notFor = (caller: Caller, what: string) =>
  caller.kind === 'anonymous'
    ? refusal(401, `sign in to ${what}, or send an API token`, { 'www-authenticate': 'Bearer' })
    : refusal(403, `${caller.name} may not ${what}`)
