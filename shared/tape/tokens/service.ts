/**
 * A JSON service that is used with a token: the token is renewed once when it is refused, and failures have
 * one form.
 */
import type * as z from 'zod'
import { TransientError } from '../../errors.ts'
import { shown } from '../http/failures.ts'
import { createHttpClient, type HttpAnswer, type HttpOptions, type HttpRequest } from './http.ts'
import type { TokenSource } from './token-source.ts'

export interface ServiceOptions extends HttpOptions {
  /** As errors call it. */
  readonly name: string
  readonly url: URL
  readonly tokens: TokenSource
  /** Headers besides those of the body; `token` is null where the service is used without one. */
  headers(token: string | null): Readonly<Record<string, string>>
  /**
   * Of an answer with status 401: whether it is the token that was refused; absent means that it always is.
   */
  readonly refusesToken?: (text: string) => boolean
  /** What an answer says in words, without markup. */
  messageOf(text: string): string
}

export interface ServiceCall {
  readonly method: HttpRequest['method']
  /** Below the service's address, segments encoded, without a leading slash; a query may follow. */
  readonly path: string
  readonly accept: string
  readonly body?: object
}

export interface Service {
  /** @throws TransientError when no answer came; for a POST it may have been done all the same. */
  call(call: ServiceCall, signal: AbortSignal): Promise<HttpAnswer>
  /**
   * What an answer that is of no use becomes. Statuses that time does not mend are marked for an operator.
   */
  failure(what: string, answer: HttpAnswer): TransientError
  /** @throws TransientError when the answer has another form (a login page, half an answer). */
  parse<T>(what: string, answer: HttpAnswer, schema: z.ZodType<T>): T
  close(): Promise<void>
}

export function createService(options: ServiceOptions): Service {
  const { name, tokens } = options
  const http = createHttpClient(name, options)
  const base = options.url.href.replace(/[?#].*$/, '').replace(/\/*$/, '/')

  const send = async (call: ServiceCall, signal: AbortSignal, token: string | null) => {
    const type: Record<string, string> = call.body === undefined ? {} : { 'content-type': 'application/json' }
    const headers = { accept: call.accept, ...type, ...options.headers(token) }
    const body = call.body === undefined ? {} : { body: JSON.stringify(call.body) }
    return await http.send({ method: call.method, url: new URL(base + call.path), headers, ...body }, signal)
  }

  const failure = (what: string, answer: HttpAnswer) => {
    const { status } = answer
    const operator = status >= 300 && status < 500 && status !== 408 && status !== 429
    const message = shown(options.messageOf(answer.text))
    return new TransientError(`${name} ${what}: HTTP ${status}${message === '' ? '' : ` (${message})`}`, {
      service: name,
      httpStatus: status,
      ...(operator ? { operator } : {}),
    })
  }

  return {
    async call(call, signal) {
      const token = await tokens.token(signal)
      const answer = await send(call, signal, token)
      if (answer.status !== 401 || token === null || options.refusesToken?.(answer.text) === false)
        return answer
      tokens.refused(token)
      const other = await tokens.token(signal)
      return other === token ? answer : await send(call, signal, other)
    },
    failure,
    parse(what, answer, schema) {
      const malformed = () =>
        new TransientError(`${name} ${what}: an answer that makes no sense`, {
          service: name,
          httpStatus: answer.status,
        })
      let json: unknown
      try {
        json = JSON.parse(answer.text)
      } catch {
        throw malformed()
      }
      const result = schema.safeParse(json)
      if (!result.success) throw malformed()
      return result.data
    },
    close: () => http.close(),
  }
}
