/** A person as the claims of the IAM describe them: who, and by their groups what they may do. */
import * as z from 'zod'
import type { Caller } from '../../../shared/access/caller.ts'
import { type Grant, scopesOfGroups } from '../../../shared/access/roles.ts'

/** What a cookie and a log line bear. OpenID Connect Core 1.0 §2: a subject has at most 255 characters. */
const NAME_LENGTH = 100
const claimsSchema = z.object({
  sub: z
    .string()
    .min(1)
    .max(255)
    .refine((text) => !/\p{Cc}/u.test(text)),
  name: z.string().optional().catch(undefined),
  preferred_username: z.string().optional().catch(undefined),
})

/** Null for claims that name no subject. */
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

/** True when some claim of groups is there, even an empty one: then the IAM has told. */
export const tellsGroups = (
  claims: Readonly<Record<string, unknown>>,
  groupClaims: readonly string[],
): boolean => groupClaims.some((claim) => Object.hasOwn(claims, claim))

/** A claim's name may have a point in it (`wlcg.groups`); it is a name, not a path. */
function groupsIn(claims: Readonly<Record<string, unknown>>, claim: string): readonly string[] {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : []
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((group) => typeof group === 'string') : []
}

/** Without control characters, and without those that turn the direction of the text around. */
const plain = (text: string) =>
  [...text.replace(/[\p{Cc}\p{Cf}\p{Z}]+/gu, ' ').trim()].slice(0, NAME_LENGTH).join('')
