/** The app of the catalogue: its routes in one list, behind the limits and rights that hold for all of them. */
import { bodyLimit } from 'hono/body-limit'
import type { Context } from '../../shared/context.ts'
import type { HttpApp } from '../../shared/runtime/handler.ts'
import { createAddressOf } from './access/client-address.ts'
import { registerAccess } from './access/register.ts'
import { HEALTH_PATHS } from './api/health.ts'
import { registerApiRoutes } from './api/register.ts'
import { compressed } from './http/compressed.ts'
import { addOtherMethods, createEmptyApi } from './http/empty-api.ts'
import { holdRefusals } from './http/hold-refusals.ts'
import { problem } from './http/problem.ts'
import { rateLimit } from './http/rate-limit.ts'
import { withRequestTimeout } from './http/request-timeout.ts'
import type { Api } from './http/route.ts'
import { registerLegacyDownload } from './legacy/download.ts'
import { registerLegacyQuery } from './legacy/query.ts'
import { registerPages } from './pages/register.ts'
import { registerReference } from './reference/reference.ts'

/** Requests are small; files are sent to the store itself. */
const BODY_LIMIT_BYTES = 256 * 1024

/**
 * Below the time limits of serverless.yml and gateways, which end a request without an answer; enough for a
 * check on tape.
 */
const ANSWER_MS = 27_000

/** How long pages receive changes before the browser reconnects: proxies limit the life of a connection. */
const LIVE = { lastsSeconds: 25, pollMs: 1000 } as const

/**
 * The app with the list of its rules, from which the authorization matrix of the tests is built; `http` is
 * the same app with the time limit.
 */
export function createApi(
  context: Context<'database' | 'publicS3' | 'queues' | 's3' | 'tape'>,
  { answerMs = ANSWER_MS }: { readonly answerMs?: number } = {},
): Api & { readonly http: HttpApp } {
  const { config, log, now } = context
  const api = createEmptyApi(log)
  const { app } = api

  const tooLarge = () => problem(413, `a request has at most ${BODY_LIMIT_BYTES} bytes`)
  const addressOf = createAddressOf(config.access.trustedProxies)
  const { identity, headers } = registerAccess(api, context, [
    holdRefusals(addressOf, log),
    bodyLimit({ maxSize: BODY_LIMIT_BYTES, onError: tooLarge }),
  ])
  app.use(
    rateLimit({ requestsPerMinute: config.access.requestsPerMinute, now, addressOf, exempt: HEALTH_PATHS }),
  )

  app.use(compressed)

  registerApiRoutes(api, context)
  registerLegacyQuery(api, context)
  registerLegacyDownload(api, context)
  const pages = {
    browser: identity.browser,
    logFolder: config.host.logFolder ?? null,
    live: LIVE,
  }
  registerPages(api, context, pages)
  registerReference(api, pages)
  addOtherMethods(api)
  return { ...api, http: withRequestTimeout(app, { answerMs, log, exempt: HEALTH_PATHS, headers }) }
}
