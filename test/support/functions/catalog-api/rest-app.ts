/** An app with only the REST routes, and a caller that the test chooses. */
import { createEmptyApi } from '../../../../functions/catalog-api/http/empty-api.ts'
import type { Api } from '../../../../functions/catalog-api/http/route.ts'
import type { Caller } from '../../../../shared/access/caller.ts'
import type { Context } from '../../../../shared/context.ts'

export const ANONYMOUS: Caller = { kind: 'anonymous', subject: 'anonymous', name: 'anonymous', scopes: [] }
export const caller = (...scopes: string[]): Caller => ({
  kind: 'person',
  subject: `person:${scopes.join()}`,
  name: 'Ada',
  scopes,
})
/** With the API token of a machine. */
export const machineCaller = (machine: string, ...scopes: string[]): Caller => ({
  kind: 'token',
  subject: `token:${machine}`,
  name: machine,
  token: { id: 1, name: machine, machine, scopes },
  scopes,
})
export const READER = caller('read:LNGS', 'link:LNGS')

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Null if the answer is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what the tests are about
  readonly json: any
}

export interface RestApp {
  readonly api: Api
  get(path: string, who?: Caller, headers?: Readonly<Record<string, string>>): Promise<Answer>
  post(path: string, body: unknown, who?: Caller): Promise<Answer>
}

/** What the catalogue's API names. */
type ApiContext = Context<'database' | 'publicS3' | 'queues' | 's3' | 'tape'>

export function restApp(
  context: ApiContext,
  ...parts: readonly ((api: Api, context: ApiContext) => void)[]
): RestApp {
  const api = createEmptyApi(context.log)
  const { app } = api
  let who: Caller = READER
  app.use(async (c, next) => {
    c.set('caller', who)
    await next()
  })
  for (const register of parts) register(api, context)
  const ask = async (path: string, as: Caller, init: RequestInit): Promise<Answer> => {
    who = as
    const response = await app.request(path, init)
    const text = await response.text()
    const isJson =
      response.headers.get('content-type')?.includes('json') === true &&
      !response.headers.get('content-type')?.includes('ndjson')
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson && text !== '' ? JSON.parse(text) : null,
    }
  }
  return {
    api,
    get: (path, as = READER, headers = {}) => ask(path, as, { headers }),
    post: (path, body, as = READER) =>
      ask(path, as, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      }),
  }
}
