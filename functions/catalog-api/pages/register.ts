/** Registers all pages and their assets. */
import type { Context } from '../../../shared/context.ts'
import type { Api } from '../http/route.ts'
import { registerAssets } from './assets/assets.ts'
import { registerAuditPage } from './audit.ts'
import { registerEvents } from './events.ts'
import { registerJump } from './jump.ts'
import { registerNow } from './now.ts'
import type { PageOptions } from './options.ts'
import { problemPages } from './problem-pages.ts'
import { registerPython } from './python.ts'
import { registerQueues } from './queues.ts'
import { registerReplicas } from './replicas.ts'
import { registerRun } from './run.ts'
import { registerRunLinks } from './run-links.ts'
import { registerRuns } from './runs.ts'
import { registerTheme } from './theme.ts'
import { registerTokens } from './tokens.ts'

export function registerPages(
  api: Api,
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  options: PageOptions,
): void {
  api.app.use(problemPages(options))
  registerAssets(api)
  registerTheme(api)
  registerNow(api, context, options)
  registerJump(api, context, options)
  registerRuns(api, context, options)
  registerRunLinks(api, context, options)
  registerRun(api, context, options)
  registerReplicas(api, context, options)
  registerQueues(api, context, options)
  registerTokens(api, context, options)
  registerAuditPage(api, context, options)
  registerPython(api, context, options)
  registerEvents(api, context, options)
}
