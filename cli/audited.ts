/**
 * Records uses of rights by commands with access to the database or the store: by the user of the operating system
 * and the host, since there is no sign-in. Every command that changes something without the API does its work in
 * here (test/db/cli/commands/audited.test.ts lists them).
 */
import { hostname, userInfo } from 'node:os'
import { audited } from '../shared/access/audit.ts'
import type { Action } from '../shared/access/rights.ts'
import type { Config } from '../shared/config/config.ts'
import type { Context } from '../shared/context.ts'
import { createLogger } from '../shared/log.ts'
import { printToStderr } from './output.ts'
import { NO_DATABASE } from './settings.ts'

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

/**
 * The same for a command that needs only the store. Where no database is configured the use is done without a
 * record, and the command states so.
 */
export async function auditedStoreCommand<T>(
  config: Config,
  action: Action,
  object: string,
  work: () => Promise<T>,
): Promise<T> {
  if (config.database.url === NO_DATABASE) {
    printToStderr('this is not recorded in the audit: CYGNET_DATABASE_URL is not set')
    return await work()
  }
  const { openContext, OPENERS } = await import('../shared/runtime/open-context.ts')
  const log = createLogger({ function: 'cli', level: 'warn', destination: process.stderr })
  const context = await openContext(config, 'cli', [OPENERS.database], log)
  try {
    return await auditedCommand(context, action, object, work)
  } finally {
    await context.close()
  }
}

/** A container may run as a user without a name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.()}`
  }
}
