/** A service that accepts webhooks: it remembers the keys of posts, as on-call services do. */
import { once } from 'node:events'
import { createWebhook } from '../../../shared/alerts/channels/webhook.ts'
import { startHttpServer } from '../http-server.ts'
import type { ChannelFixture, Shown, Trouble } from './channel-conformance.ts'

// biome-ignore lint/suspicious/noExplicitAny: what a request holds is what the tests are about
type Body = any

export interface ReceivedRequest {
  readonly method: string | undefined
  readonly authorization: string | undefined
  readonly key: string | undefined
  readonly body: Body
}

interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface WebhookFixture extends ChannelFixture {
  readonly url: string
  readonly requests: readonly ReceivedRequest[]
  /** From now on. */
  setAnswer(answer: Answer): void
}

const TOKEN = 'secret-of-the-webhook'
const ANSWERS: Partial<Record<Trouble, Answer>> = {
  unavailable: { status: 503 },
  'rate-limited': { status: 429, headers: { 'retry-after': '1' } },
  'token-revoked': { status: 401 },
  'channel-unknown': { status: 404 },
  'message-refused': { status: 400 },
}

export async function startWebhookFixture(): Promise<WebhookFixture> {
  const requests: ReceivedRequest[] = []
  const shown = new Map<string, Shown>()
  const handled = new Map<string, string>()
  let trouble: Trouble | null = null
  let answer: Answer | null = null

  /** @returns the answer to a request that is carried out. */
  const carryOut = ({ key = '', body }: ReceivedRequest): Answer => {
    const earlier = handled.get(key)
    const id: string = earlier ?? (body.action === 'post' ? `message-${handled.size}` : body.messageId)
    const before = shown.get(id)
    if (body.action === 'edit' && before === undefined) return { status: 410 }
    // A repetition of a post shows what it says; for its persons it is no second one.
    const isNew = body.action === 'post' && earlier === undefined
    const files = isNew && body.attachment !== null ? [body.attachment] : []
    shown.set(id, {
      id,
      text: JSON.stringify(body),
      notified: isNew ? body.mentions.map((one: Body) => one.id) : (before?.notified ?? []),
      files: isNew
        ? files.map(({ name, base64 }: Body) => ({ name, bytes: Buffer.from(base64, 'base64') }))
        : (before?.files ?? []),
    })
    if (body.action === 'post') handled.set(key, id)
    return { status: 200, body: JSON.stringify({ id }) }
  }

  const server = await startHttpServer((request, response) => {
    const respond = async () => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      await once(request, 'end')
      const received = {
        method: request.method,
        authorization: request.headers.authorization,
        key: [request.headers['idempotency-key']].flat()[0],
        body: JSON.parse(Buffer.concat(chunks).toString('utf8')),
      }
      requests.push(received)
      if (trouble === 'request-lost') return request.destroy()
      if (trouble === 'silent') return
      const fixed = answer ?? (trouble === null ? null : (ANSWERS[trouble] ?? null))
      const { status, headers = {}, body = '' } = fixed ?? carryOut(received)
      if (trouble === 'answer-lost') return request.destroy()
      response.writeHead(status, headers).end(body)
    }
    void respond()
  })
  const url = `${server.origin}/hooks/secret-path`
  return {
    url,
    requests,
    channel: createWebhook('phone', { url, token: TOKEN }),
    secret: TOKEN,
    shown: () => [...shown.values()].toReversed(),
    delete: (id) => void shown.delete(id),
    forget: () => handled.clear(),
    setTrouble: (next) => {
      trouble = next
    },
    setAnswer: (next) => {
      answer = next
    },
    close: () => server.close(),
  }
}
