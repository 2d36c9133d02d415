/** HTTP: the catalogue for people and programs: REST, pages, links, sign-in, uploads by token, and what the old tools call. */
import { bodyLimit } from 'hono/body-limit'
import type { TapeContext } from '../../shared/runtime/context.ts'
import type { HttpApp } from '../../shared/runtime/handler.ts'
import { createAddressOf } from './access/client-address.ts'
import { registerAccess } from './access/register.ts'
import { answerInTime } from './answer-in-time.ts'
import { compressed } from './compressed.ts'
import { findCopiesIn } from './copies-of-file.ts'
import { createEmptyApi } from './empty-api.ts'
import { registerPages } from './pages/register.ts'
import { problem } from './problem.ts'
import { rateLimit } from './rate-limit.ts'
import { registerReference } from './reference.ts'
import type { Api } from './route.ts'
import { registerCopies } from './routes/copies.ts'
import { registerDeletions } from './routes/deletions.ts'
import { HEALTH_PATHS, registerHealth } from './routes/health.ts'
import { registerLegacyDownload } from './routes/legacy-download.ts'
import { registerLegacyQuery } from './routes/legacy-query.ts'
import { registerLinks } from './routes/links.ts'
import { registerQueues } from './routes/queues.ts'
import { registerReplicaSummary } from './routes/replicas.ts'
import { registerRun } from './routes/run.ts'
import { registerRuns } from './routes/runs.ts'
import { registerUploads } from './routes/uploads.ts'

/** What is asked for is small; files go to the store itself. */
const BODY_LIMIT_BYTES = 256 * 1024

/** Within the time limits that serverless.yml and gateways set, which end a request without a word; enough for a look at a tape. */
const ANSWER_MS = 27_000

/** Pages learn of changes for so long at a time, then the browser asks again: proxies let nothing last for ever. */
const LIVE = { lastsSeconds: 25, pollMs: 1000 } as const

export const createHandler = (context: TapeContext): HttpApp => createApi(context).app

/** The app with the list of its rules, which the authorization matrix of the tests is made from. */
export function createApi(context: TapeContext, { answerMs = ANSWER_MS }: { readonly answerMs?: number } = {}): Api {
  const { config, database, log, now } = context
  const api = createEmptyApi(log)
  const { app } = api

  const tooLarge = () => problem(413, `a request has at most ${BODY_LIMIT_BYTES} bytes`)
  const identity = registerAccess(api, context, [
    answerInTime({ answerMs, log, exempt: HEALTH_PATHS }),
    bodyLimit({ maxSize: BODY_LIMIT_BYTES, onError: tooLarge }),
  ])
  const addressOf = createAddressOf(config.CYGNET_TRUSTED_PROXIES)
  app.use(rateLimit({ requestsPerMinute: config.CYGNET_REQUESTS_PER_MINUTE, now, addressOf, exempt: HEALTH_PATHS }))

  app.use(compressed)

  registerHealth(api, context)
  registerRuns(api, context)
  registerRun(api, context)
  registerLinks(api, context)
  registerReplicaSummary(api, context)
  registerQueues(api, context)
  registerUploads(api, context)
  registerCopies(api, findCopiesIn(database))
  registerDeletions(api, context)
  registerReference(api)
  registerLegacyQuery(api, context)
  registerLegacyDownload(api, context)
  registerPages(api, context, { browser: identity.browser, logFolder: config.CYGNET_LOG_FOLDER ?? null, live: LIVE })
  return api
}
