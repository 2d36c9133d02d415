/**
 * A JSON service that requires a token: a refused token is renewed once, and all failures have the same form.
 */
import type * as z from 'zod'
import { TransientError } from '../../errors.ts'
import { shown } from '../http/failures.ts'
import { createHttpClient, type HttpAnswer, type HttpOptions, type HttpRequest } from './http.ts'
import type { TokenSource } from './token-source.ts'

export interface ServiceOptions extends HttpOptions {
  /** Its name in errors. */
  readonly name: string
  readonly url: URL
  readonly tokens: TokenSource
  /** Headers in addition to those of the body; `token` is null where the service is used without one. */
  headers(token: string | null): Readonly<Record<string, string>>
  /** For an answer with status 401: whether the token was refused; absent means always. */
  readonly refusesToken?: (text: string) => boolean
  /** The message of an answer, without markup. */
  messageOf(text: string): string
}

export interface ServiceCall {
  readonly method: HttpRequest['method']
  /** Below the service's address, segments encoded, without a leading slash, possibly with a query. */
  readonly path: string
  readonly accept: string
  readonly body?: object
}

export interface Service {
  /** @throws TransientError when no answer was received; a POST may have been executed all the same. */
  call(call: ServiceCall, signal: AbortSignal): Promise<HttpAnswer>
  /**
   * The error for an unexpected answer. Statuses that a retry does not resolve are marked for an operator.
   */
  failure(what: string, answer: HttpAnswer): TransientError
  /** @throws TransientError when the answer does not match the schema (a login page, a truncated answer). */
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
        new TransientError(`${name} ${what}: an invalid answer`, {
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
