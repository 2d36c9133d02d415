/** The API with only some of its parts, and a caller that the test chooses. */
import { OpenAPIHono } from '@hono/zod-openapi'
import { problem, problemHandler, refusal } from '../../functions/catalog-api/problem.ts'
import type { Api, ApiEnvironment } from '../../functions/catalog-api/route.ts'
import { createLogger } from '../../shared/log.ts'

export interface PartOfApi extends Api {
  /** Asks as somebody with these scopes. */
  ask(path: string, options?: { readonly scopes?: readonly string[]; readonly method?: string }): Promise<Response>
}

/** @param anybody what everybody may who does not say otherwise. */
export function partOfApi(register: (api: Api) => void, anybody: readonly string[] = []): PartOfApi {
  const app = new OpenAPIHono<ApiEnvironment>({
    defaultHook: (result) => {
      if (!result.success) throw refusal(400, result.error.message)
    },
  })
  app.onError(problemHandler(createLogger({ function: 'test', level: 'silent' })))
  app.notFound(() => problem(404, 'there is nothing here'))
  app.use(async (c, next) => {
    const said = c.req.header('x-scopes')
    const scopes = said === undefined ? anybody : said.split(' ').filter(Boolean)
    const kind = scopes.length === 0 ? 'anonymous' : 'token'
    c.set('caller', { kind, subject: kind, name: 'somebody', scopes })
    await next()
  })
  const api: Api = { app, rules: [] }
  register(api)
  return {
    ...api,
    ask: async (path, { scopes = [], method = 'GET' } = {}) =>
      await app.request(path, { method, headers: { 'x-scopes': scopes.join(' ') } }),
  }
}
