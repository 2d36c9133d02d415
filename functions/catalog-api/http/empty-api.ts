/** The API before routes are added; errors are answered as problems. */
import { OpenAPIHono } from '@hono/zod-openapi'
import { methodNotAllowed } from 'hono/method-not-allowed'
import type { Logger } from '../../../shared/log.ts'
import { problem, problemHandler, refusal } from './problem.ts'
import type { Api, ApiEnvironment } from './route.ts'
import { describeValidationError } from './validation-errors.ts'

export function createEmptyApi(log: Logger): Api {
  const app = new OpenAPIHono<ApiEnvironment>({
    defaultHook: (result) => {
      if (!result.success) throw refusal(400, describeValidationError(result.error))
    },
  })
  app.onError(problemHandler(log))
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' })
  app.notFound(() => problem(404, 'there is no such address'))
  return { app, rules: [] }
}

/**
 * Answers methods that a path does not support, and OPTIONS, with the supported ones (RFC 9110, section
 * 15.5.6). Must be added last, so that the other middleware applies to this answer.
 */
export function addOtherMethods({ app }: Api): void {
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed(c, methods) {
        const allow = [...methods, 'OPTIONS'].toSorted().join(', ')
        if (c.req.method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow } })
        return problem(405, `${c.req.method} is not allowed here; allowed: ${allow}`, { allow })
      },
    }),
  )
}
