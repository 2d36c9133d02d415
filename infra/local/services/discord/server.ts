/**
 * A stand-in for Discord: the few calls of its REST API (version 10) that Cygnet uses, with its limits, its errors
 * and a page that shows the channels. For tests, and for `cygnet up --with discord`.
 *
 * Answers are those of https://docs.discord.com/developers/reference and
 * https://docs.discord.com/developers/topics/opcodes-and-status-codes#json
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from '../../../../shared/log.ts'
import { KEEP_IDLE_CONNECTIONS, LOOPBACK } from '../../ports.ts'
import { type Answer, NOT_FOUND, problem, send } from './answers.ts'
import { attachmentPath, BOT, BOT_ID, type Channel, callOf } from './calls.ts'
import { readBody } from './form.ts'
import { bucketHeaders, createRateLimiter, LIMITS, type Limits, rateLimited } from './limits.ts'
import { createMessages, type Message, type Messages } from './messages.ts'
import { channelsPage, PAGE_POLICY } from './page.ts'

export interface DiscordOptions {
  /** Of the bot. */
  readonly token: string
  readonly channels: readonly Channel[]
  /** Default: a free one. */
  readonly port?: number
  readonly limits?: Limits
  /** For how long a nonce is remembered; default: five minutes. */
  readonly nonceMs?: number
  readonly now?: () => Date
  readonly log?: Logger
  /** Messages of an earlier start. */
  readonly stored?: readonly Message[]
  /** Called with all messages after each change. */
  readonly onChange?: (messages: readonly Message[]) => void
}

/** What happens to a request; `after`: it is carried out, and its answer is lost. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'rate-limit'; readonly seconds: number }
  | { readonly kind: 'drop' | 'hang'; readonly when: 'before' | 'after' }

export interface RecordedRequest {
  readonly method: string
  readonly path: string
  readonly at: Date
  /** Null where no answer was sent. */
  status: number | null
}

export interface DiscordServer {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string
  /** For CYGNET_DISCORD_API. */
  readonly api: string
  /** The last ones. */
  readonly requests: readonly RecordedRequest[]
  readonly messages: Messages
  /** Changes the channels or their permissions. */
  setChannels(channels: readonly Channel[]): void
  /** Null: the token was revoked. */
  setToken(token: string | null): void
  /** Called with each request to the API. Null: no fault. */
  setFault(fault: ((request: RecordedRequest) => Fault | null) | null): void
  close(): Promise<void>
}

/** "The past few minutes", in which a nonce is unique. */
const NONCE_MS = 300_000
const SHOWN_MESSAGES = 50
const MOST_RECORDED = 100_000

export async function serveDiscord(options: DiscordOptions): Promise<DiscordServer> {
  const { now = () => new Date(), limits = LIMITS, nonceMs = NONCE_MS } = options
  const messages = createMessages({ ...options, now, nonceMs })
  const limiter = createRateLimiter(limits, now)
  const requests: RecordedRequest[] = []
  const state: {
    channels: readonly Channel[]
    token: string | null
    fault: ((request: RecordedRequest) => Fault | null) | null
  } = { channels: options.channels, token: options.token, fault: null }
  const origin = () => `http://${LOOPBACK}:${(server.address() as AddressInfo).port}`

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', origin())
    if (!url.pathname.startsWith('/api/')) return show(url, response)
    const record: RecordedRequest = {
      method: request.method ?? 'GET',
      path: `${url.pathname}${url.search}`,
      at: now(),
      status: null,
    }
    requests.push(record)
    if (requests.length > MOST_RECORDED) requests.shift()
    const fault = state.fault?.(record) ?? null
    const body = await readBody(request)
    if (fault?.kind === 'drop' && fault.when === 'before') return response.destroy()
    if (fault?.kind === 'hang' && fault.when === 'before') return
    const answer = (fault && faultAnswer(fault)) ?? (await answerOf(request, url, body))
    if (fault?.kind === 'drop') return response.destroy()
    if (fault?.kind === 'hang') return
    record.status = answer.status
    send(response, answer)
  }

  /** In the order of Discord: Cloudflare, the global limit, the token, the bucket, the call. */
  const answerOf = async (request: IncomingMessage, url: URL, body: Buffer | null): Promise<Answer> => {
    const ban = limiter.banned()
    if (ban !== null)
      return { status: 429, headers: { 'retry-after': String(Math.ceil(ban.resetMs / 1000)) } }
    const answer = await answerWithin(request, url, body)
    if (answer.status === 401 || answer.status === 403 || answer.status === 429) limiter.countInvalid()
    return answer
  }

  const answerWithin = async (request: IncomingMessage, url: URL, body: Buffer | null): Promise<Answer> => {
    const { method = 'GET', headers } = request
    // https://docs.discord.com/developers/reference#user-agent
    if (!/^DiscordBot \(\S+, \S+\)/.test(headers['user-agent'] ?? '')) return { status: 403 }
    const all = limiter.takeGlobal()
    if (!all.isWithin) return { status: 429, ...rateLimited(all, 'global') }
    if (state.token === null || headers.authorization !== `Bot ${state.token}`)
      return problem(401, 0, '401: Unauthorized')
    const [, version, path = ''] = /^\/api\/(v\d+)(\/.*)$/.exec(url.pathname) ?? []
    if (version !== 'v10') return problem(400, 50_041, 'Invalid API version specified')
    if (method === 'GET' && path === '/users/@me') return { status: 200, body: BOT }
    if (method === 'GET' && path === '/applications/@me')
      return { status: 200, body: { id: BOT_ID, name: 'Cygnet', bot: BOT } }
    const call = callOf(method, path)
    if (call === null) return NOT_FOUND
    const bucket = limiter.takeBucket(call.route, call.channelId)
    const described = bucketHeaders(call.route, bucket, limits.bucket)
    if (!bucket.isWithin) {
      const refused = rateLimited(bucket, 'user')
      return { status: 429, body: refused.body, headers: { ...described, ...refused.headers } }
    }
    const channel = state.channels.find(({ id }) => id === call.channelId)
    const given = {
      messages,
      messageId: call.messageId,
      query: url.searchParams,
      request,
      body,
      origin: origin(),
    }
    return { ...(await call.run(given, channel)), headers: described }
  }

  const show = (url: URL, response: ServerResponse) => {
    response.setHeader('content-security-policy', PAGE_POLICY)
    response.setHeader('x-content-type-options', 'nosniff')
    response.setHeader('cache-control', 'no-store')
    const [, channelId = '', messageId = '', id = ''] =
      /^\/attachments\/(\d+)\/(\d+)\/(\d+)\//.exec(url.pathname) ?? []
    const file = messages.get(channelId, messageId)?.attachments.find((one) => one.id === id)
    if (file !== undefined) {
      const isPicture = /^image\/(?:png|jpeg|gif|webp|avif)$/.test(file.contentType)
      response.setHeader('content-type', isPicture ? file.contentType : 'application/octet-stream')
      response.end(file.bytes)
    } else if (url.pathname === '/') {
      response.setHeader('content-type', 'text/html; charset=utf-8')
      const shown = state.channels.map((channel) => ({
        ...channel,
        messages: messages.list(channel.id, { limit: SHOWN_MESSAGES }),
      }))
      response.end(channelsPage(shown, attachmentPath, now()))
    } else response.writeHead(404).end()
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      options.log?.error({ error }, 'discord-request-failed')
      response.destroy()
    })
  }).listen(options.port ?? 0, LOOPBACK)
  server.keepAliveTimeout = KEEP_IDLE_CONNECTIONS
  await once(server, 'listening')
  return {
    origin: origin(),
    api: `${origin()}/api`,
    requests,
    messages,
    setChannels(channels) {
      state.channels = channels
    },
    setToken(token) {
      state.token = token
    },
    setFault(fault) {
      state.fault = fault
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Null: the request is carried out. */
function faultAnswer(fault: Fault): Answer | null {
  if (fault.kind === 'status') return problem(fault.status, 0, 'as the test wants')
  if (fault.kind !== 'rate-limit') return null
  const headers = { 'retry-after': String(fault.seconds), 'x-ratelimit-scope': 'shared' }
  const message = 'The resource is being rate limited.'
  return { status: 429, headers, body: { message, retry_after: fault.seconds, global: false } }
}
