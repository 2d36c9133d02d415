/**
 * The caller and their rights, determined once per request from an API token, a sign-in, or the rights of
 * anonymous callers.
 */
import type { Right } from './rights.ts'
import { allows, EVERY_TAG, tagsOf } from './scopes.ts'
import type { TokenOfCaller } from './tokens.ts'

export interface Caller {
  readonly kind: 'anonymous' | 'token' | 'person'
  /** For logs and rate limits, not secret: `anonymous`, `token:12`, `person:<subject of the IAM>`. */
  readonly subject: string
  /** A name for people. */
  readonly name: string
  /** `read:LNGS`, `operate:*`: see scopes.ts. */
  readonly scopes: readonly string[]
  /** Of a caller with the API token of a machine. */
  readonly token?: TokenOfCaller
  /** The id of a personal token: then subject and name are those of its person. */
  readonly personalToken?: number
  /** Of a signed-in person: when the IAM stated the groups. */
  readonly confirmedAt?: Date
}

export const mayDo = (caller: Caller, right: Right, tag: string): boolean => allows(caller.scopes, right, tag)

/** Tags for which the caller has the right; `*` for all of them, an empty list for none. */
export function tagsAllowed(caller: Caller, right: Right): typeof EVERY_TAG | readonly string[] {
  return allows(caller.scopes, right, EVERY_TAG) ? EVERY_TAG : tagsOf(caller.scopes, right)
}
