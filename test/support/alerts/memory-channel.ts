/**
 * A channel in memory that does what makes a real one difficult: it recognises a repeated post for some minutes only,
 * limits the rate, fails, and people delete its messages.
 */
import type { AlertChannel, ChannelMessage } from '../../../shared/alerts/channels/channel.ts'
import { TransientError } from '../../../shared/errors.ts'
import type { ObservedChannel } from './delivery-suite.ts'

interface Kept {
  readonly id: string
  readonly postedAt: Date
  message: ChannelMessage
}

export interface MemoryChannel extends ObservedChannel {
  /** Messages that were posted, also those that were deleted since. */
  posted(): number
  /** As they are now. */
  messages(): readonly ChannelMessage[]
  clear(): void
}

export interface MemoryChannelOptions {
  readonly name?: string
  readonly now: () => Date
  /** Requests in a window; left out: no limit. */
  readonly limit?: { readonly requests: number; readonly windowMs: number }
}

/** How long a repeated post is recognised. */
const NONCE_MS = 180_000

export function createMemoryChannel({
  name = 'memory',
  now,
  limit = { requests: Number.POSITIVE_INFINITY, windowMs: 1000 },
}: MemoryChannelOptions): MemoryChannel {
  const kept = new Map<string, Kept>()
  const nonces = new Map<string, { readonly id: string; readonly at: number }>()
  let window = { from: 0, requests: 0 }
  let [posted, early, mayComeAt, isDown] = [0, 0, 0, false]

  const admit = () => {
    const at = now().getTime()
    if (isDown) throw new TransientError('ECONNREFUSED: the channel is down', { error: 'ECONNREFUSED' })
    if (at < mayComeAt) early += 1
    if (at >= window.from + limit.windowMs) window = { from: at, requests: 0 }
    if (window.requests >= limit.requests) {
      mayComeAt = window.from + limit.windowMs
      throw new TransientError('asked to wait', { retryAfterMs: mayComeAt - at, httpStatus: 429 })
    }
    window.requests += 1
  }

  const channel: AlertChannel = {
    name,
    dependency: `channel:${name}`,
    async find(deliveryId, since) {
      admit()
      const found = [...kept.values()].find(
        ({ message, postedAt }) => message.deliveryId === deliveryId && postedAt >= since,
      )
      return found?.id ?? null
    },
    async post(message) {
      admit()
      const at = now()
      const nonce = nonces.get(message.deliveryId)
      if (nonce !== undefined && at.getTime() - nonce.at < NONCE_MS) return nonce.id
      posted += 1
      const id = `message-${posted}`
      kept.set(id, { id, postedAt: at, message })
      nonces.set(message.deliveryId, { id, at: at.getTime() })
      return id
    },
    async edit(id, message) {
      admit()
      const shown = kept.get(id)
      if (shown === undefined) return 'gone'
      shown.message = message
      return 'edited'
    },
  }
  return {
    channel,
    visible: async () => [...kept.values()].map(({ id, message }) => ({ id, text: textOf(message) })),
    async delete(id) {
      kept.delete(id)
    },
    setDown(down) {
      isDown = down
    },
    early: () => early,
    posted: () => posted,
    messages: () => [...kept.values()].map(({ message }) => message),
    clear() {
      kept.clear()
      nonces.clear()
      posted = 0
    },
  }
}

function textOf({ state, severity, title, text, fields }: ChannelMessage): string {
  const lines = fields.map(
    ({ name, value }) => `${name}: ${value instanceof Date ? value.toISOString() : value}`,
  )
  return [`${state} ${severity} ${title}`, text, ...lines].join('\n')
}
