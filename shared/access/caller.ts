/**
 * Who asks, and what they may do: decided once a request, from an API token, a sign-in, or what everybody
 * may.
 */
import { allows, EVERY_TAG, type Right, tagsOf } from './scopes.ts'

export interface Caller {
  readonly kind: 'anonymous' | 'token' | 'person'
  /** For logs and rate limits, no secret: `anonymous`, `token:12`, `person:<subject of the IAM>`. */
  readonly subject: string
  /** For people. */
  readonly name: string
  /** `read:LNGS`, `operate:*`: see scopes.ts. */
  readonly scopes: readonly string[]
}

export const mayDo = (caller: Caller, right: Right, tag: string): boolean => allows(caller.scopes, right, tag)

/** Tags for which the caller has the right; `*` for all of them, an empty list for none. */
export function tagsAllowed(caller: Caller, right: Right): typeof EVERY_TAG | readonly string[] {
  return allows(caller.scopes, right, EVERY_TAG) ? EVERY_TAG : tagsOf(caller.scopes, right)
}

/** What the groups of an IAM stand for. */
export type Role = 'reader' | 'shifter' | 'operator'

export const ROLE_RIGHTS: Readonly<Record<Role, readonly Right[]>> = {
  reader: ['read', 'link'],
  shifter: ['read', 'link', 'recall'],
  operator: ['read', 'link', 'recall', 'operate'],
}
