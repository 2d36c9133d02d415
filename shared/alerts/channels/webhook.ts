/**
 * A channel of any service that accepts JSON by POST: a phone or on-call service, or a bridge to another chat.
 * docs/deploy/alert-channels.md describes the requests.
 *
 * @example
 * const phone = createWebhook('phone', { url: 'https://oncall.example/hooks/1', token })
 */
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { isSafeAddress } from '../../access/safe-address.ts'
import { classify, type Failure, InvalidInputError, TransientError } from '../../errors.ts'
import type { AlertChannel, ChannelMessage } from './channel.ts'

const TIMEOUT_MS = 10_000
/** Of an answer, bytes: more is not read. */
const LONGEST_ANSWER = 64 * 1024

const answerShape = z.object({ id: z.union([z.string().min(1).max(200), z.int().transform(String)]) })

/** @throws InvalidInputError when the token would be sent in plain text to another machine. */
export function createWebhook(
  name: string,
  { url, token }: { readonly url: string; readonly token?: string | undefined },
): AlertChannel {
  const place = `CYGNET_ALERTS: channels.${name}`
  if (token !== undefined && !isSafeAddress(new URL(url)))
    throw new InvalidInputError(`${place}.url: a token is sent only to an address that begins with https://`)

  const send = async (
    body: object,
    key: string,
    signal: AbortSignal,
  ): Promise<{ readonly isGone: boolean; readonly id: string | null }> => {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'idempotency-key': key,
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify(body),
        redirect: 'manual',
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      })
      const text = await beginningOf(response)
      if (response.status === 410) return { isGone: true, id: null }
      if (!response.ok) throw refusal(response, place)
      return { isGone: false, id: idIn(text) }
    } catch (error) {
      throw failureOf(error, name)
    }
  }

  return {
    name,
    dependency: `channel:${name}`,
    find: () => Promise.resolve(null),
    async post(message, signal) {
      const { deliveryId, attachment } = message
      const body = { ...payload('post', message), attachment: attachment && encoded(attachment) }
      const { isGone, id } = await send(body, deliveryId, signal)
      if (isGone) throw new TransientError(`the webhook ${name} answers that ${deliveryId} is gone`)
      return id ?? deliveryId
    },
    async edit(messageId, message, signal) {
      const body = { ...payload('edit', message), messageId, attachment: null }
      // A service that remembers keys would take the key of the post for a repetition of the post.
      const digest = createHash('sha256').update(JSON.stringify(body)).digest('hex').slice(0, 16)
      const { isGone } = await send(body, `${message.deliveryId}:${digest}`, signal)
      return isGone ? 'gone' : 'edited'
    },
  }
}

const payload = (
  action: 'post' | 'edit',
  { deliveryId, state, severity, title, text, fields, links, mentions }: ChannelMessage,
) => ({
  version: 1,
  action,
  deliveryId,
  state,
  severity,
  title,
  text,
  fields,
  links,
  mentions: action === 'post' ? mentions : [],
})

const encoded = ({ name, contentType, bytes }: NonNullable<ChannelMessage['attachment']>) => ({
  name,
  contentType,
  base64: Buffer.from(bytes).toString('base64'),
})

async function beginningOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of body ?? []) {
    chunks.push(chunk)
    sizeBytes += chunk.length
    if (sizeBytes > LONGEST_ANSWER) return ''
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** An answer need not have an id. */
function idIn(text: string): string | null {
  try {
    return answerShape.safeParse(JSON.parse(text)).data?.id ?? null
  } catch {
    return null
  }
}

/** For a person: names the setting, never the address, whose path may be a secret. */
function refusal({ status, headers }: Response, place: string): Failure {
  const details = { httpStatus: status }
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const retryAfterMs = waitOf(headers)
    return new TransientError(`the webhook answered with status ${status}`, {
      ...details,
      ...(retryAfterMs !== null && { retryAfterMs }),
    })
  }
  if (status === 400 || status === 413 || status === 415 || status === 422)
    return new InvalidInputError(`${place}: the webhook does not accept the message (${status})`, details)
  const isOfToken = status === 401 || status === 403
  const reason =
    status >= 300 && status < 400 ? 'redirects, which is not followed' : `answered with status ${status}`
  return new TransientError(
    `needs an operator: ${place}.${isOfToken ? 'token' : 'url'}: the webhook ${reason}`,
    {
      ...details,
      operator: true,
    },
  )
}

/** Seconds or a date, as in RFC 9110, of which the answer's own date is the clock; null where it is neither. */
function waitOf(headers: Headers): number | null {
  const wait = headers.get('retry-after')
  if (wait === null) return null
  const ms = /^\d+$/.test(wait)
    ? Number(wait) * 1000
    : Date.parse(wait) - Date.parse(headers.get('date') ?? '')
  return Number.isFinite(ms) ? Math.max(0, ms) : null
}

/** `fetch failed` has its reason in its cause. */
function failureOf(error: unknown, name: string): Failure {
  const known = error instanceof TypeError && error.cause !== undefined ? error.cause : error
  const failure = classify(known)
  if (!(failure instanceof TransientError)) return failure
  return new TransientError(failure.message, { ...failure.details, channel: name }, { cause: failure.cause })
}
