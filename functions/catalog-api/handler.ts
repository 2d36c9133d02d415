/** HTTP: the API of the catalogue. Every route but the description of the API needs a token. */
import { OpenAPIHono } from '@hono/zod-openapi'
import { bodyLimit } from 'hono/body-limit'
import * as z from 'zod'
import type { StorageContext } from '../../shared/runtime/context.ts'
import type { HttpApp } from '../../shared/runtime/handler.ts'
import { type ApiEnvironment, authenticate } from './access/authenticate.ts'
import { findCopiesIn } from './copies-of-file.ts'
import { problem, problemHandler, refusal } from './problem.ts'
import { registerCopies } from './routes/copies.ts'
import { registerUploads } from './routes/uploads.ts'

const DESCRIPTION_PATH = '/api/v1/openapi.json'

/** What is asked for is small; files go to the store itself. */
const BODY_LIMIT_BYTES = 64 * 1024

export function createHandler(context: StorageContext): HttpApp {
  const app = new OpenAPIHono<ApiEnvironment>({
    defaultHook: (result) => {
      if (!result.success) throw refusal(400, z.prettifyError(result.error))
    },
  })
  app.onError(problemHandler(context.log))
  app.notFound(() => problem(404, 'there is nothing here'))
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' })
  app.doc31(DESCRIPTION_PATH, { openapi: '3.1.0', info: { title: 'Cygnet', version: '1' } })

  app.use(bodyLimit({ maxSize: BODY_LIMIT_BYTES, onError: () => problem(413, `a request has at most ${BODY_LIMIT_BYTES} bytes`) }))
  app.use(authenticate(context))
  registerUploads(app, context)
  registerCopies(app, findCopiesIn(context.database))
  return app
}
