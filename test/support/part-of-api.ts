/** An API with only some of its routes, and a caller that the test chooses. */
import { addOtherMethods, createEmptyApi } from '../../functions/catalog-api/http/empty-api.ts'
import type { Api } from '../../functions/catalog-api/http/route.ts'
import { createLogger } from '../../shared/log.ts'

export interface PartOfApi extends Api {
  /** Sends a request as a caller with these scopes. */
  ask(
    path: string,
    options?: { readonly scopes?: readonly string[]; readonly method?: string },
  ): Promise<Response>
}

/** @param defaultScopes scopes of a caller whose request states none. */
export function partOfApi(register: (api: Api) => void, defaultScopes: readonly string[] = []): PartOfApi {
  const api = createEmptyApi(createLogger({ function: 'test', level: 'silent' }))
  const { app } = api
  app.use(async (c, next) => {
    const stated = c.req.header('x-scopes')
    const scopes = stated === undefined ? defaultScopes : stated.split(' ').filter(Boolean)
    const kind = scopes.length === 0 ? 'anonymous' : 'token'
    c.set('caller', { kind, subject: kind, name: 'somebody', scopes })
    await next()
  })
  register(api)
  addOtherMethods(api)
  return {
    ...api,
    ask: async (path, { scopes = [], method = 'GET' } = {}) =>
      await app.request(path, { method, headers: { 'x-scopes': scopes.join(' ') } }),
  }
}
