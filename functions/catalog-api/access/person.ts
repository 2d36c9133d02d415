/** A person as described by the claims of the IAM: subject, name, and the rights of the groups. */
import * as z from 'zod'
import type { Caller } from '../../../shared/access/caller.ts'
import { type Grant, scopesOfGroups } from '../../../shared/access/roles.ts'
import { cutText, isWellFormed, wellFormed } from '../../../shared/text.ts'

/**
 * A length that cookies and log lines can hold. OpenID Connect Core 1.0 §2: a subject has at most 255
 * characters.
 */
const NAME_LENGTH = 100
const claimsSchema = z.object({
  sub: z
    .string()
    .min(1)
    .max(255)
    .refine((text) => isWellFormed(text) && !/\p{Cc}/u.test(text)),
  name: z.string().optional().catch(undefined),
  preferred_username: z.string().optional().catch(undefined),
})

/** Null for claims without a subject. */
export function personOf(
  claims: Readonly<Record<string, unknown>>,
  rules: { readonly groupClaims: readonly string[]; readonly grants: readonly Grant[] },
): Caller | null {
  const parsed = claimsSchema.safeParse(claims)
  if (!parsed.success) return null
  const { sub, name, preferred_username: user } = parsed.data
  const shown = [name, user, sub].map((text) => plain(text ?? '')).find((text) => text !== '') ?? 'somebody'
  const groups = rules.groupClaims.flatMap((claim) => groupsIn(claims, claim))
  return {
    kind: 'person',
    subject: `person:${sub}`,
    name: shown,
    scopes: scopesOfGroups(rules.grants, groups),
  }
}

/** Whether a groups claim is present, even an empty one. */
export const hasGroupClaim = (
  claims: Readonly<Record<string, unknown>>,
  groupClaims: readonly string[],
): boolean => groupClaims.some((claim) => Object.hasOwn(claims, claim))

/** The name of a claim may contain a dot (`wlcg.groups`); it is not a path. */
function groupsIn(claims: Readonly<Record<string, unknown>>, claim: string): readonly string[] {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : []
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((group) => typeof group === 'string') : []
}

/** Removes control characters and those that change the direction of text. */
const plain = (text: string) =>
  cutText(
    wellFormed(text)
      .replace(/[\p{Cc}\p{Cf}\p{Z}]+/gu, ' ')
      .trim(),
    NAME_LENGTH,
  )
