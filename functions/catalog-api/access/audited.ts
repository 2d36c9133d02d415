/** Records uses of rights by callers of the API. */
import { audited as auditedUse } from '../../../shared/access/audit.ts'
import type { Action } from '../../../shared/access/rights.ts'
import type { Context } from '../../../shared/context.ts'
import type { ApiContext } from '../http/route.ts'

/**
 * Does the work and records who requested it; see shared/access/audit.ts.
 * @param object what it is done to, for people.
 */
export function audited<T>(
  context: Pick<Context<'database'>, 'database' | 'log' | 'now'>,
  c: ApiContext,
  action: Action,
  object: string,
  work: () => Promise<T>,
  outcomeOf?: (result: T) => string,
): Promise<T> {
  const { subject, name, token, personalToken } = c.get('caller')
  const requestId = c.get('requestId') ?? null
  const use = { subject, name, tokenId: token?.id ?? personalToken ?? null, action, object, requestId }
  return auditedUse(context, use, work, outcomeOf)
}
