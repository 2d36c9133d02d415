/**
 * A Rucio server over HTTP, like the real REST interface: strict about headers, paths and accepted types,
 * with streams cut into odd pieces, and able to misbehave. Its state and its errors are in rucio-state.ts.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { startHttpServer } from './http-server.ts'
import { bodyOf } from './iam-server.ts'
import {
  createRucioState,
  problem,
  type Reply,
  type RucioSetup,
  type RucioState,
  STREAM_TYPE,
  type StoredFile,
  type StoredRule,
} from './rucio-state.ts'

/** A fault of the next request. `lose-reply`: it is carried out, then the connection is closed. */
export type RucioFault = 'lose-reply' | 'drop' | 'html' | 'half' | '503' | 'hang' | 'error-in-stream'

export interface RucioServer {
  readonly url: string
  readonly rules: ReadonlyMap<string, StoredRule>
  /** `METHOD path` of every request. */
  readonly requests: readonly string[]
  readonly tokens: Set<string>
  /** Whether Cygnet's account may change the state of rules; by default only administrators may. */
  isAdmin: boolean
  /** Called when a request is left without an answer (`hang`). */
  onHang: () => void
  fail(fault: RucioFault): void
  /** A fault of the next request that begins so (`POST /rules/`). */
  failOn(route: string, fault: RucioFault): void
  /** The file `scope:name`. */
  file(did: string): StoredFile | undefined
  /** Adds a file and its replica without a request. */
  know(file: Omit<StoredFile, 'replicas'>, rse: string): void
  setReplica(did: string, rse: string, state: string): void
  setRule(
    id: string,
    change: Partial<
      Pick<
        StoredRule,
        'state' | 'error' | 'expires_at' | 'locks_ok_cnt' | 'locks_replicating_cnt' | 'locks_stuck_cnt'
      >
    >,
  ): void
  forgetRule(id: string): void
  /** The address of a file at a deterministic RSE. */
  place(rse: string, did: { readonly scope: string; readonly name: string }): string
  /** Transfers for every rule that is not fulfilled. If the test's function throws, the rule is STUCK. */
  run(): Promise<void>
  /** Lets the two weeks pass after which stuck rules are given up. */
  giveUp(): void
  close(): Promise<void>
}

const notAcceptable = problem(
  406,
  'UnsupportedRequestedContentType',
  'The requested content type is not supported.',
)

export async function startRucioServer(options: RucioSetup): Promise<RucioServer> {
  const state = createRucioState(options)
  const { files, rules } = state
  const requests: string[] = []
  const tokens = new Set(['rucio-token'])
  const faults: { readonly route: string; readonly fault: RucioFault }[] = []

  /** The error for a request that is refused at once; null for others. */
  const refusal = ({ url = '/', headers }: IncomingMessage): Reply | null => {
    if (!/^[A-Za-z0-9_.~%!$&'()*+,;=:@/?-]*$/.test(url))
      return problem(400, 'ValueError', 'the path is not encoded')
    const token = headers['x-rucio-auth-token']
    if (token === undefined || headers.authorization !== undefined)
      return problem(400, 'ValueError', 'Token must be set.')
    if (tokens.has(String(token)) && headers['x-rucio-account'] === options.account) return null
    return problem(401, 'CannotAuthenticate', 'Cannot authenticate with given credentials')
  }

  const http = await startHttpServer(async (request, response) => {
    const route = `${request.method} ${request.url}`
    requests.push(route)
    const planned = faults.findIndex((entry) => route.startsWith(entry.route))
    const [{ fault } = { fault: null }] = planned === -1 ? [] : faults.splice(planned, 1)
    const text = await bodyOf(request)
    if (fault === 'hang') return server.onHang()
    if (fault === 'drop') return void request.socket.destroy()
    if (fault === '503')
      return send(response, problem(503, 'DatabaseException', 'Currently there are too many requests'))
    const reply = refusal(request) ?? answer(state, request, text, server.isAdmin)
    if (fault === 'lose-reply') return void request.socket.destroy()
    if (fault === 'html')
      return send(response, { status: 200, body: '<html>Sign in</html>', type: 'text/html' })
    if (fault === 'half')
      return send(response, {
        ...reply,
        body: reply.body.slice(0, Math.max(1, Math.floor(reply.body.length / 2))),
      })
    if (fault === 'error-in-stream')
      return send(response, { ...reply, body: `${problem(0, 'DatabaseException', 'gone').body}\n` })
    // In pieces that ignore lines and characters, as a proxy may send them.
    if (reply.type !== STREAM_TYPE) return send(response, reply)
    response.writeHead(reply.status, { 'content-type': STREAM_TYPE })
    const bytes = Buffer.from(reply.body)
    for (let at = 0; at < bytes.length; at += 97) {
      response.write(bytes.subarray(at, at + 97))
      await sleep(0)
    }
    response.end()
  })

  const server: RucioServer = {
    url: http.origin,
    rules,
    requests,
    tokens,
    isAdmin: true,
    onHang: () => {},
    fail: (fault) => void faults.push({ route: '', fault }),
    failOn: (route, fault) => void faults.push({ route, fault }),
    file: (key) => files.get(key),
    know: (file, rse) => state.know(file, rse),
    setReplica(key, rse, state) {
      const replica = files.get(key)?.replicas.get(rse)
      if (replica !== undefined) replica.state = state
    },
    setRule: (id, change) => void Object.assign(rules.get(id) ?? {}, change),
    forgetRule: (id) => void rules.delete(id),
    place: state.place,
    async run() {
      for (const rule of rules.values())
        if (rule.state === 'REPLICATING' || rule.state === 'STUCK') await state.fulfil(rule)
    },
    giveUp() {
      for (const rule of rules.values()) if (rule.state === 'STUCK') rule.state = 'SUSPENDED'
    },
    close: () => http.close(),
  }
  return server
}

function answer(
  state: RucioState,
  { method, url = '/', headers }: IncomingMessage,
  text: string,
  isAdmin: boolean,
): Reply {
  const { pathname, searchParams } = new URL(url, 'http://rucio')
  const takes = (type: string) => headers.accept === type || headers.accept === '*/*'
  const route = `${method} ${pathname}`
  if (route === 'POST /replicas/') return state.register(text)
  if (route === 'POST /replicas/list') return takes(STREAM_TYPE) ? state.list(text) : notAcceptable
  if (route === 'POST /rules/') return state.addRule(text)
  if (route === 'GET /rules/') return takes(STREAM_TYPE) ? state.findRules([...searchParams]) : notAcceptable
  const did = pathname.match(/^\/dids\/([^/]+)\/(.+)$/)
  if (did !== null && method === 'GET')
    return state.describe(decodeURIComponent(did[1] ?? ''), decodeURIComponent(did[2] ?? ''))
  const id = pathname.match(/^\/rules\/([0-9a-f]{32})$/)?.[1]
  if (id !== undefined && method === 'PUT') return state.changeRule(id, text, isAdmin)
  if (id !== undefined && method === 'GET')
    return takes('application/json') ? state.tellRule(id) : notAcceptable
  return { status: 404, body: '<!doctype html><title>404 Not Found</title>', type: 'text/html' }
}

function send(response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, { 'content-type': reply.type ?? 'text/html' }).end(reply.body)
}
