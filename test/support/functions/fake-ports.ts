/**
 * Strict fakes of the ledger and the queue: they record their calls and refuse what the real ones refuse.
 */
import type { WebhookPorts } from '../../../functions/receive-notification/ports.ts'
import type { ObjectArrival } from '../../../shared/notifications/arrival.ts'
import type { RefusalCount } from '../../../shared/runtime/refusals.ts'
import { recordingLog } from '../runtime/recording-log.ts'

export const TOKEN = 'a-token-of-the-stores'
const NOW = new Date('2024-05-17T09:12:32Z')

type Part = 'ledger' | 'queue' | 'park' | 'refusals'

export function fakePorts(overrides: Partial<WebhookPorts> = {}) {
  /** What was stored, in order. */
  const steps: string[] = []
  const recorded: ObjectArrival[] = []
  const sent: ObjectArrival[] = []
  const noted: RefusalCount[] = []
  const parked: { readonly body: string; readonly reason: string }[] = []
  const { log, lines, text } = recordingLog()
  const down = new Set<Part>()
  const unlessDown = (what: Part) => {
    steps.push(what)
    if (down.has(what)) throw new Error(`connect ECONNREFUSED mysql://cygnet:password@db/${what}`)
  }
  const ports: WebhookPorts = {
    ledger: {
      async recordArrivals(arrivals, at) {
        unlessDown('ledger')
        if (arrivals.length === 0 || at !== NOW) throw new Error('nothing to record, or at another time')
        recorded.push(...arrivals)
      },
      async noteTests(arrivals) {
        unlessDown('ledger')
        recorded.push(...arrivals)
      },
      async park(body, reason) {
        unlessDown('park')
        if (reason === '') throw new Error('parked without a reason')
        parked.push({ body, reason })
      },
    },
    queue: {
      async sendArrivals(arrivals) {
        unlessDown('queue')
        for (const arrival of arrivals)
          if (!recorded.includes(arrival)) throw new Error('sent before it was in the ledger')
        sent.push(...arrivals)
      },
    },
    concerns: () => true,
    token: TOKEN,
    bodyLimitBytes: 64 * 1024,
    addressOf: (connection) => connection ?? null,
    async noteRefusals(refusals) {
      if (down.has('refusals')) throw new Error('connect ECONNREFUSED')
      noted.push(refusals)
    },
    log,
    now: () => NOW,
    ...overrides,
  }
  return { ports, steps, recorded, sent, parked, noted, down, lines, logText: text }
}
