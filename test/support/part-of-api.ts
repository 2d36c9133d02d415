/** The API with only some of its parts, and a caller that the test chooses. */
import { addOtherMethods, createEmptyApi } from '../../functions/catalog-api/http/empty-api.ts'
import type { Api } from '../../functions/catalog-api/http/route.ts'
import { createLogger } from '../../shared/log.ts'

export interface PartOfApi extends Api {
  /** Asks as somebody with these scopes. */
  ask(
    path: string,
    options?: { readonly scopes?: readonly string[]; readonly method?: string },
  ): Promise<Response>
}

/** @param anybody what everybody may who does not say otherwise. */
export function partOfApi(register: (api: Api) => void, anybody: readonly string[] = []): PartOfApi {
  const api = createEmptyApi(createLogger({ function: 'test', level: 'silent' }))
  const { app } = api
  app.use(async (c, next) => {
    const said = c.req.header('x-scopes')
    const scopes = said === undefined ? anybody : said.split(' ').filter(Boolean)
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
