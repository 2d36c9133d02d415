/** What a token is good for, as text: a right and the tag it holds for, `push:LNGS`. */
import { InvalidInputError } from '../errors.ts'
import { isTag } from '../run.ts'

/**
 * `read`: see runs and where their copies are. `link`: get links to their files. `recall`: have them brought
 * back from tape. `operate`: see and retry what failed, see the queues. `push`: send new runs and ask for the
 * state of their copies. `overwrite`: also replace what is under a key.
 */
export type Right = 'read' | 'link' | 'recall' | 'operate' | 'push' | 'overwrite'

/** In the place of a tag: all of them. */
export const EVERY_TAG = '*'

export interface Scope {
  readonly right: Right
  readonly tag: string
}

export const RIGHTS: readonly Right[] = ['read', 'link', 'recall', 'operate', 'push', 'overwrite']

/** @throws InvalidInputError for a text that is no scope. */
export function parseScope(text: string): Scope {
  const colon = text.indexOf(':')
  const right = RIGHTS.find((known) => known === text.slice(0, Math.max(colon, 0)))
  const tag = text.slice(colon + 1)
  if (right === undefined || (tag !== EVERY_TAG && !isTag(tag)))
    throw new InvalidInputError(`"${text}" is no scope; one is push:LNGS or read:*`)
  return { right, tag }
}

/** True when one of the scopes gives the right for exactly this tag. Who may overwrite may also push. */
export function allows(scopes: readonly string[], right: Right, tag: string): boolean {
  const wanted: readonly Right[] = right === 'push' ? ['push', 'overwrite'] : [right]
  return wanted.some((each) => scopes.includes(`${each}:${tag}`) || scopes.includes(`${each}:${EVERY_TAG}`))
}

/** Tags for which the scopes give the right. */
export const tagsOf = (scopes: readonly string[], right: Right): readonly string[] => [
  ...new Set(scopes.map(parseScope).flatMap(({ tag }) => (allows(scopes, right, tag) ? [tag] : []))),
]
