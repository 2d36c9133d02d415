/**
 * HTTP client for the services of a tape endpoint (IAM, FTS, Rucio): short requests, short answers, and no
 * secret in any error.
 */
import { InvalidInputError, TransientError } from '../../errors.ts'
import { openConnections } from '../http/connections.ts'
import { exchange, textOf } from '../http/exchange.ts'

/** No valid answer is larger; a larger one comes from something else. */
const ANSWER_BYTES = 8 * 1024 * 1024
const TIMEOUT_SECONDS = 30

export interface HttpOptions {
  /** A PEM file with certificate authorities in addition to Node's own. */
  readonly caFile?: string | undefined
  /** Longest time for one request and its answer. */
  readonly timeoutSeconds?: number | undefined
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export interface HttpAnswer {
  readonly status: number
  /** In lower case; empty if none is stated. */
  readonly contentType: string
  readonly text: string
}

export interface HttpClient {
  /**
   * Sends one request; redirects are returned like other answers.
   * @throws TransientError when no complete answer was received. The request may have been executed all the
   * same.
   */
  send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>
  close(): Promise<void>
}

/** @throws InvalidInputError when the file with certificate authorities cannot be read. */
export function createHttpClient(service: string, options: HttpOptions): HttpClient {
  const timeoutMs = (options.timeoutSeconds ?? TIMEOUT_SECONDS) * 1000
  const connections = openConnections(options.caFile)
  return {
    async send({ method, url, headers, body }, signal) {
      const limit = AbortSignal.timeout(timeoutMs)
      const limited = AbortSignal.any([signal, limit])
      const details = {
        method,
        what: service,
        headers,
        silenceMs: timeoutMs,
        ...(body === undefined ? {} : { body: { text: body } }),
      }
      try {
        // Calls are minutes apart: a pooled connection would be closed by then.
        const answer = await exchange(connections, details, 'fresh', url, null, limited)
        return {
          status: answer.status,
          contentType: (answer.header('content-type') ?? '').toLowerCase(),
          text: await textOf(answer, service, ANSWER_BYTES, limited),
        }
      } catch (error) {
        signal.throwIfAborted()
        if (limit.aborted)
          throw new TransientError(
            `${url.host}: ${service}: no complete answer within ${timeoutMs / 1000} s`,
            {
              service,
            },
          )
        throw error
      }
    },
    async close() {
      connections.close()
    },
  }
}

/**
 * @throws InvalidInputError for an address that is not http(s) or contains credentials: addresses are shown
 * in errors.
 */
export function checkedUrl(setting: string, text: string): URL {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw new InvalidInputError(`${setting} is not an http or https address`)
  if (url.username !== '' || url.password !== '')
    throw new InvalidInputError(`${setting} must not contain a user name or password`)
  return url
}
