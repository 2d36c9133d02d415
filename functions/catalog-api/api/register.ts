/** Registers all routes of the REST API except those of access. */
import type { Context } from '../../../shared/context.ts'
import type { Api } from '../http/route.ts'
import { registerAlertmanager } from './alertmanager.ts'
import { registerCopies } from './copies.ts'
import { findCopiesIn } from './copies-of-file.ts'
import { registerDeletions } from './deletions.ts'
import { registerHealth } from './health.ts'
import { registerLinks } from './links.ts'
import { registerLists } from './lists.ts'
import { registerLocalCopies } from './local-copies.ts'
import { registerQueues } from './queues.ts'
import { registerRecalls } from './recalls.ts'
import { registerReplicaSummary } from './replicas.ts'
import { registerRun } from './run.ts'
import { registerRuns } from './runs.ts'
import { registerUploads } from './uploads.ts'

export function registerApiRoutes(
  api: Api,
  context: Context<'database' | 'publicS3' | 'queues' | 's3' | 'tape'>,
): void {
  registerHealth(api, context)
  registerRuns(api, context)
  registerRun(api, context)
  registerLinks(api, context)
  registerRecalls(api, context)
  registerReplicaSummary(api, context)
  registerQueues(api, context)
  registerLists(api, context)
  registerUploads(api, context)
  registerCopies(api, findCopiesIn(context.database))
  registerDeletions(api, context)
  registerLocalCopies(api, context)
  registerAlertmanager(api, context)
}
