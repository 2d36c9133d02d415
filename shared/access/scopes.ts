/** Scopes of a token as text: a right and the tag for which it holds, `push:LNGS`. */
import { InvalidInputError } from '../errors.ts'
import { isTag } from '../run.ts'
import { grantedBy, RIGHTS, type Right } from './rights.ts'

/** Used in place of a tag: all tags. */
export const EVERY_TAG = '*'

export interface Scope {
  readonly right: Right
  readonly tag: string
}

/** @throws InvalidInputError for an invalid scope. */
export function parseScope(text: string): Scope {
  const colon = text.indexOf(':')
  const right = RIGHTS.find((known) => known === text.slice(0, Math.max(colon, 0)))
  const tag = text.slice(colon + 1)
  if (right === undefined || (tag !== EVERY_TAG && !isTag(tag)))
    throw new InvalidInputError(`"${text}" is not a scope, such as push:LNGS or read:*`)
  return { right, tag }
}

/** Whether one of the scopes grants the right for exactly this tag. */
export function allows(scopes: readonly string[], right: Right, tag: string): boolean {
  return grantedBy(right).some(
    (each) => scopes.includes(`${each}:${tag}`) || scopes.includes(`${each}:${EVERY_TAG}`),
  )
}

/** The part of the scopes that the limits grant: of one for all tags, the tags for which they do. */
export const scopesWithin = (scopes: readonly string[], limits: readonly string[]): readonly string[] =>
  scopes.flatMap((scope) => {
    const { right, tag } = parseScope(scope)
    if (allows(limits, right, tag)) return [scope]
    return tag === EVERY_TAG ? tagsOf(limits, right).map((each) => `${right}:${each}`) : []
  })

/** Of a valid scope. */
const tagOf = (scope: string) => scope.slice(scope.indexOf(':') + 1)

/** Tags for which the scopes grant the right. */
export const tagsOf = (scopes: readonly string[], right: Right): readonly string[] => [
  ...new Set(scopes.map(tagOf).filter((tag) => allows(scopes, right, tag))),
]
