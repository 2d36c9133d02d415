/** The roles of IAM groups: the setting CYGNET_ROLES, and the scopes that a person has by it. */
import { InvalidInputError } from '../errors.ts'
import { isTag } from '../run.ts'
import { ROLES, type Role, rightsOf } from './rights.ts'
import { EVERY_TAG } from './scopes.ts'

export interface Grant {
  /** Without the leading slash that only some IAMs write: `cygno/ops`. */
  readonly group: string
  readonly role: Role
  readonly tag: string
}

const ENTRY = new RegExp(`^(?<group>.+)=(?<role>${ROLES.join('|')}):(?<tag>.+)$`, 's')

/**
 * Parses `GROUP=ROLE:TAG;GROUP=ROLE:TAG`. A group may occur several times, and a tag may be `*`.
 * @throws InvalidInputError for an invalid entry, so that a mistyped role does not silently grant nothing.
 */
export function parseRoles(text: string): readonly Grant[] {
  const entries = text.split(';').map((entry) => entry.trim())
  return entries.filter((entry) => entry !== '').map(parseEntry)
}

function parseEntry(entry: string): Grant {
  const { group = '', role, tag = '' } = ENTRY.exec(entry)?.groups ?? {}
  const name = plainGroup(group.trim())
  if (name === '' || (tag !== EVERY_TAG && !isTag(tag)))
    throw new InvalidInputError(
      `CYGNET_ROLES: "${entry}" is not GROUP=ROLE:TAG, such as /cygno=reader:* (roles: ${ROLES.join(', ')})`,
    )
  return { group: name, role: role as Role, tag }
}

/**
 * The scopes of a person in these groups. Groups are compared exactly: membership in `a/b` does not imply
 * membership in `a`.
 */
export function scopesOfGroups(grants: readonly Grant[], groups: readonly string[]): readonly string[] {
  const names = new Set(groups.map(plainGroup))
  const held = grants.filter(({ group }) => names.has(group))
  const scopes = new Set(held.flatMap(({ role, tag }) => rightsOf(role).map((right) => `${right}:${tag}`)))
  // Short, for the cookie: a right for all tags need not be listed for each.
  return [...scopes].filter(
    (scope) =>
      scope.endsWith(`:${EVERY_TAG}`) || !scopes.has(`${scope.slice(0, scope.indexOf(':'))}:${EVERY_TAG}`),
  )
}

const plainGroup = (group: string) => group.replace(/^\//, '')
