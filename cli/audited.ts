/** Records uses of rights by commands with access to the database: by the user of the shell. */
import { hostname, userInfo } from 'node:os'
import { audited } from '../shared/access/audit.ts'
import type { Action } from '../shared/access/rights.ts'
import type { Context } from '../shared/context.ts'

/**
 * Does the work and records who did it; see shared/access/audit.ts.
 * @param object what it is done to, for people.
 */
export function auditedCommand<T>(
  context: Pick<Context<'database'>, 'database' | 'log' | 'now'>,
  action: Action,
  object: string,
  work: () => Promise<T>,
  outcomeOf?: (result: T) => string,
): Promise<T> {
  const name = userName()
  const use = { subject: `shell:${name}@${hostname()}`, name, tokenId: null, action, object, requestId: null }
  return audited(context, use, work, outcomeOf)
}

/** A container may run as a user without a name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.()}`
  }
}
