/**
 * Requests to one tape endpoint: bearer token, redirects, and a repetition when an idle connection had been
 * closed.
 */
import { TransientError } from '../../errors.ts'
import { type Connections, openConnections } from '../http/connections.ts'
import { type Answer, exchange, REPEATABLE, type RequestDetails } from '../http/exchange.ts'
import type { TokenSource } from '../tokens/token-source.ts'

export interface HttpOptions {
  /** PEM file with certificate authorities besides Node's own. */
  readonly caFile?: string | undefined
  readonly token: TokenSource
}

export interface HttpRequest extends RequestDetails {
  readonly url: string
}

export interface TapeHttp {
  /**
   * Sends a request with the token, follows redirects, and repeats it once with a fresh token after a 401. An
   * answer of any status is returned; the caller must read or discard its body.
   * @throws TransientError when there was no answer; what the body throws; the signal's reason.
   */
  request(request: HttpRequest, signal: AbortSignal): Promise<Answer>
  close(): void
}

const MOST_REDIRECTS = 5
const MOST_DISCARDED_BYTES = 64 * 1024

/** @throws InvalidInputError when the CA file cannot be read. */
export function createTapeHttp(options: HttpOptions): TapeHttp {
  const connections = openConnections(options.caFile)
  return {
    async request(request, signal) {
      const token = await options.token.token(signal)
      const first = await follow(connections, request, token, signal)
      if (first.answer.status !== 401 || token === null || !first.tokenSent) return first.answer
      options.token.refused(token)
      const fresh = await options.token.token(signal)
      if (fresh === null || fresh === token) return first.answer
      await discard(first.answer)
      return (await follow(connections, request, fresh, signal)).answer
    },
    close: () => connections.close(),
  }
}

async function follow(
  connections: Connections,
  request: HttpRequest,
  token: string | null,
  signal: AbortSignal,
) {
  const start = new URL(request.url)
  let url = start
  for (let redirects = 0; ; redirects += 1) {
    const tokenSent = token !== null && mayCarryToken(start, url)
    const answer = await send(connections, request, url, tokenSent ? token : null, signal)
    const target = redirectTarget(request, answer)
    if (target === null) return { answer, tokenSent }
    await discard(answer)
    if (redirects === MOST_REDIRECTS)
      throw new TransientError(`${start.host} redirects ${request.what} in a circle`)
    url = target
  }
}

/**
 * The token is sent along a redirect only to the same host and never from TLS to plain text. Endpoints that
 * redirect elsewhere (dCache's pools, XRootD's data servers) put a ticket of their own in the address, and a
 * store behind them would refuse a second credential.
 */
function mayCarryToken(from: URL, to: URL): boolean {
  return from.hostname === to.hostname && (to.protocol === 'https:' || from.protocol === 'http:')
}

/**
 * Null when this is not a redirect that we follow. 303 turns any method into a GET, so it is followed only
 * for a GET.
 */
function redirectTarget(request: HttpRequest, answer: Answer): URL | null {
  const followed =
    [301, 302, 307, 308].includes(answer.status) || (answer.status === 303 && request.method === 'GET')
  const location = answer.header('location')
  if (!followed || location === null) return null
  const target = URL.parse(location, answer.url.href)
  if (target === null || !/^https?:$/.test(target.protocol))
    throw new TransientError(`${answer.url.host} redirects ${request.what} to an invalid address`)
  // A COPY contains the link of the other side, which must not be sent in clear text.
  if (request.method === 'COPY' && answer.url.protocol === 'https:' && target.protocol === 'http:')
    return null
  return target
}

/**
 * A repeatable request uses a pooled connection. If the endpoint had closed that connection before it
 * answered, the request is repeated once on a fresh one, since other pooled connections may be closed as
 * well.
 */
async function send(
  connections: Connections,
  request: HttpRequest,
  url: URL,
  token: string | null,
  signal: AbortSignal,
) {
  if (!REPEATABLE.has(request.method))
    return await exchange(connections, request, 'fresh', url, token, signal)
  try {
    return await exchange(connections, request, 'pooled', url, token, signal)
  } catch (error) {
    if (!(error instanceof TransientError && error.details.reset === true)) throw error
    return await exchange(connections, request, 'fresh', url, token, signal)
  }
}

/** Reads the rest of an unused answer so that its connection can be reused; a long one is cut off. */
export async function discard(answer: Answer): Promise<void> {
  let bytes = 0
  try {
    for await (const chunk of answer.body) {
      bytes += chunk.length
      if (bytes > MOST_DISCARDED_BYTES) break // leaving the loop destroys the body
    }
  } catch {
    // The answer is not needed.
  }
}
