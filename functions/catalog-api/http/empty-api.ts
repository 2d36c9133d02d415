/**
 * The API before anything is added to it: what is wrong is told as problems, and a path that has no such
 * method by those it has.
 */
import { OpenAPIHono } from '@hono/zod-openapi'
import type { Logger } from '../../../shared/log.ts'
import { createMethodsOf } from './other-methods.ts'
import { problem, problemHandler, refusal } from './problem.ts'
import type { Api, ApiEnvironment } from './route.ts'
import { whatIsWrong } from './what-is-wrong.ts'

export function createEmptyApi(log: Logger): Api {
  const app = new OpenAPIHono<ApiEnvironment>({
    defaultHook: (result) => {
      if (!result.success) throw refusal(400, whatIsWrong(result.error))
    },
  })
  app.onError(problemHandler(log))
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' })
  const api: Api = { app, rules: [] }
  const methodsOf = createMethodsOf(api.rules)
  app.notFound((c) => {
    const methods = methodsOf(c.req.path)
    if (methods.length === 0 || (methods.includes(c.req.method) && c.req.method !== 'OPTIONS'))
      return problem(404, 'there is nothing here')
    const allow = methods.join(', ')
    if (c.req.method === 'OPTIONS') return c.body(null, 204, { allow })
    return problem(405, `${c.req.method} is not for this address; ${allow} is`, { allow })
  })
  return api
}
