/**
 * The token endpoint of an IAM, written from RFC 6749. It is strict about what it accepts (HTTP Basic client
 * authentication, form bodies, `scope` and not `scopes`), counts its requests, and answers badly when a test
 * requests it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { startHttpServer } from './http-server.ts'

/** Answers that real installations have given in place of a token. */
export type BadAnswer =
  | 'html'
  | 'error-with-200'
  | 'no-token'
  | 'expired'
  | 'header-injection'
  | '503'
  | 'not-json'
  | 'drop'
  | 'hang'

export interface IamServer {
  readonly url: string
  /** Requests that reached the token endpoint, including refused ones. */
  readonly requests: readonly Readonly<Record<string, string>>[]
  readonly issued: readonly string[]
  /** The refresh token that is valid now. */
  readonly refreshToken: string
  /** Called when a request is left without an answer (`hang`). */
  onHang: () => void
  /** The next answers, one per request; then good ones again. */
  misbehave(...answers: BadAnswer[]): void
  /** Lifetime of the tokens issued from now on. */
  setLifetime(seconds: number | null): void
  setRotation(on: boolean): void
  /** Revokes every refresh token issued so far. */
  revoke(): void
  close(): Promise<void>
}

export const IAM_CLIENT = {
  clientId: 'cygnet',
  clientSecret: 'p@ss:w+rd/%',
  scope: 'storage.read:/ storage.modify:/',
} as const

export async function startIamServer(): Promise<IamServer> {
  const requests: Record<string, string>[] = []
  const issued: string[] = []
  const bad: BadAnswer[] = []
  let lifetimeSeconds: number | null = 3600
  let rotates = false
  let serial = 0
  let refreshToken = 'refresh-0'

  const issue = (form: URLSearchParams) => {
    serial += 1
    const claims = {
      iss: 'http://iam',
      sub: IAM_CLIENT.clientId,
      scope: form.get('scope'),
      aud: form.get('audience'),
      jti: String(serial),
    }
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const token = `${part({ alg: 'none' })}.${part(claims)}.signature${serial}`
    issued.push(token)
    if (rotates && form.get('grant_type') === 'refresh_token') refreshToken = `refresh-${serial}`
    return {
      access_token: token,
      token_type: 'Bearer',
      ...(lifetimeSeconds === null ? {} : { expires_in: lifetimeSeconds }),
      ...(rotates && form.get('grant_type') === 'refresh_token' ? { refresh_token: refreshToken } : {}),
      scope: form.get('scope') ?? '',
    }
  }

  const http = await startHttpServer(async (request, response) => {
    const form = new URLSearchParams(await bodyOf(request))
    requests.push(Object.fromEntries(form))
    const answer = bad.shift()
    if (answer === 'hang') return server.onHang()
    if (answer === 'drop') return void request.socket.destroy()
    if (answer !== undefined) return badly(response, answer)
    const error = wrong(request, form, refreshToken)
    if (error !== null)
      return json(response, error === 'invalid_client' ? 401 : 400, {
        error,
        error_description: `about ${form}`,
      })
    json(response, 200, issue(form))
  })
  const server: IamServer = {
    url: `${http.origin}/token`,
    requests,
    issued,
    get refreshToken() {
      return refreshToken
    },
    onHang: () => {},
    misbehave: (...answers) => void bad.push(...answers),
    setLifetime(seconds) {
      lifetimeSeconds = seconds
    },
    setRotation(on) {
      rotates = on
    },
    revoke() {
      refreshToken = `refresh-revoked-${serial}`
    },
    close: () => http.close(),
  }
  return server
}

/** The error code of RFC 6749 §5.2 for a request that a real IAM would refuse; null for a good one. */
function wrong(request: IncomingMessage, form: URLSearchParams, refreshToken: string): string | null {
  const { method, url, headers } = request
  if (
    method !== 'POST' ||
    url !== '/token' ||
    headers['content-type'] !== 'application/x-www-form-urlencoded'
  )
    return 'invalid_request'
  const [id, secret] = Buffer.from(headers.authorization?.match(/^Basic (\S+)$/)?.[1] ?? '', 'base64')
    .toString()
    .split(':')
    .map((part) => new URLSearchParams(`_=${part}`).get('_'))
  if (id !== IAM_CLIENT.clientId || secret !== IAM_CLIENT.clientSecret) return 'invalid_client'
  if ([...form.keys()].some((key) => !['grant_type', 'refresh_token', 'scope', 'audience'].includes(key)))
    return 'invalid_request'
  const grant = form.get('grant_type')
  if (grant !== 'client_credentials' && grant !== 'refresh_token') return 'unsupported_grant_type'
  if ((grant === 'refresh_token') !== form.has('refresh_token')) return 'invalid_request'
  if (grant === 'refresh_token' && form.get('refresh_token') !== refreshToken) return 'invalid_grant'
  const asked = (form.get('scope') ?? '').split(' ').filter(Boolean)
  return asked.every((scope) => IAM_CLIENT.scope.split(' ').includes(scope)) ? null : 'invalid_scope'
}

function badly(response: ServerResponse, answer: BadAnswer): void {
  if (answer === 'html') response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sign in</html>')
  else if (answer === 'not-json')
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token": "half')
  else if (answer === '503') response.writeHead(503, { 'content-type': 'text/plain' }).end('upstream')
  else if (answer === 'error-with-200')
    json(response, 200, { error: 'server_error', access_token: 'not-a-token' })
  else if (answer === 'expired')
    json(response, 200, { access_token: 'old', token_type: 'Bearer', expires_in: -1 })
  else if (answer === 'header-injection')
    json(response, 200, { access_token: 'a\r\nX-Other: b', expires_in: 3600 })
  else json(response, 200, { token_type: 'Bearer', expires_in: 3600 })
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  return Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString('utf8')
}

function json(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}
