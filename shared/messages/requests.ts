/** Requests: the messages that are rows of the outbox before they are sent, one type per queue. */
import { alerts } from './alerts.ts'
import type { RequestFormat } from './format.ts'
import { recallRequests } from './recall-requests.ts'
import { recoRequests } from './reco-requests.ts'
import { tapeRequests } from './tape-requests.ts'

/** The format of each queue that is written through the outbox. */
export const REQUEST_FORMATS = {
  'tape-requests': tapeRequests,
  'recall-requests': recallRequests,
  'reco-requests': recoRequests,
  alerts,
}

type Formats = typeof REQUEST_FORMATS
type RequestQueue = keyof Formats
type Bodies = { readonly [Queue in RequestQueue]: Parameters<Formats[Queue]['encode']>[1] }

type RequestOf<Queues extends RequestQueue> = {
  readonly [Queue in Queues]: {
    /** Deterministic: the same cause makes the same name, and a name is taken once. */
    readonly name: string
    readonly queue: Queue
    readonly body: Bodies[Queue]
    readonly runId: number | null
  }
}[Queues]
export type Request = RequestOf<RequestQueue>

/** The body of the message, with the name of the request in it. */
export function encodeRequest<Queue extends RequestQueue>({ name, queue, body }: RequestOf<Queue>): string {
  const formats: { readonly [Q in RequestQueue]: Pick<RequestFormat<Bodies[Q], unknown>, 'encode'> } =
    REQUEST_FORMATS
  return formats[queue].encode(name, body)
}
