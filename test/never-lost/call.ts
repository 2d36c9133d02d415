/**
 * One call of a function. An accident can happen at each of its requests to the database, the store, the tape
 * endpoint, a queue, a disk or the API, before or after the request was carried out.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { TransientError } from '../../shared/errors.ts'

export type Place = 'database' | 'store' | 'tape' | 'queue' | 'disk' | 'network'

export interface Accident {
  /**
   * dies: the process ends at this point. fails: the request fails, or its answer is lost. stops: the host
   * asks the function to stop. stalls: the process is suspended until it is woken, perhaps days later.
   */
  readonly kind: 'dies' | 'fails' | 'stops' | 'stalls'
  /** Null: any place. */
  readonly place: Place | null
  /**
   * The request at which it happens, counted from 0 among those to the place. A call with fewer requests has
   * no accident.
   */
  readonly at: number
  /** Whether the request is carried out before the accident. */
  readonly done: boolean
}

/** The process died: code that catches this error can do nothing more. */
export class Died extends Error {}

/** The tape endpoint's answer that a file is present. */
export interface Verification {
  readonly name: string
  readonly sha256: string
  readonly onMedia: boolean
  /** When the call received it, in the story's time, milliseconds. */
  readonly atMs: number
}

export interface Call {
  readonly name: string
  readonly signal: AbortSignal
  /** The story's time when it began, milliseconds. */
  readonly begunAt: number
  readonly verifications: Verification[]
  /**
   * The number of open transactions. A call does not stall in one, because the test would wait for its locks.
   */
  transactions: number
  /** Settles when the call stalls. */
  readonly stalled: Promise<'stalled'>
  wake(how: 'continues' | 'dies'): void
  /** Sends a request to something outside of the process. */
  through<T>(place: Place, request: () => Promise<T>): Promise<T>
}

export interface CallOptions {
  readonly name: string
  readonly begunAt: number
  readonly accident: Accident | null
  /**
   * How many turns of the event loop it waits before each request, repeated cyclically. This interleaves
   * concurrent calls.
   */
  readonly pace: readonly number[]
  readonly onAccident: (kind: Accident['kind'], place: Place) => void
}

export function beginCall({ name, begunAt, accident, pace, onAccident }: CallOptions): Call {
  const stop = new AbortController()
  const stalling = Promise.withResolvers<'stalled'>()
  const waking = Promise.withResolvers<void>()
  let requests = 0
  let happened = accident === null
  let dead = false

  /** Requests to the accident's place. */
  let requestsThere = 0
  const isDue = (place: Place) =>
    accident !== null &&
    !happened &&
    (accident.place ?? place) === place &&
    requestsThere > accident.at &&
    (accident.kind !== 'stalls' || canStall(place))
  /** A file on the disk is removed in one step, so a call can stall only after it. */
  const canStall = (place: Place) => call.transactions === 0 && (place !== 'disk' || accident?.done === true)

  async function happen(place: Place): Promise<void> {
    happened = true
    if (accident !== null) onAccident(accident.kind, place)
    switch (accident?.kind) {
      case 'dies':
        dead = true
        throw new Died(`${name} died`)
      case 'fails':
        throw failureOf(place)
      case 'stops':
        return stop.abort(new TransientError('the host stopped'))
      case 'stalls':
        stalling.resolve('stalled')
        await waking.promise
        if (dead) throw new Died(`${name} died`)
    }
  }

  const call: Call = {
    name,
    begunAt,
    signal: stop.signal,
    verifications: [],
    transactions: 0,
    stalled: stalling.promise,
    wake(how) {
      if (how === 'dies') dead = true
      waking.resolve()
    },
    async through(place, request) {
      if ((accident?.place ?? place) === place) requestsThere++
      for (let turns = pace[requests++ % Math.max(1, pace.length)] ?? 0; turns > 0; turns--) await turn()
      if (dead) throw new Died(`${name} died`)
      if (accident?.done === false && isDue(place)) await happen(place)
      const answer = await request()
      if (accident?.done === true && isDue(place))
        await happen(place).catch((error) => discardAnswer(answer, error))
      if (dead) discardAnswer(answer, new Died(`${name} died`))
      return answer
    },
  }
  return call
}

/** Discards an answer of the store, so that its connection is freed. */
function discardAnswer(answer: unknown, error: unknown): never {
  const { Body: body } = (answer ?? {}) as { readonly Body?: { destroy?(): void } }
  body?.destroy?.()
  throw error
}

function failureOf(place: Place): Error {
  switch (place) {
    case 'database':
      return Object.assign(new Error('Connection lost: The server closed the connection.'), {
        code: 'PROTOCOL_CONNECTION_LOST',
      })
    case 'store':
      return Object.assign(new Error('We encountered an internal error.'), {
        name: 'InternalError',
        $metadata: { httpStatusCode: 500 },
      })
    case 'tape':
      return new TransientError('the tape endpoint does not answer')
    case 'queue':
      return new TransientError('the queue does not answer')
    case 'network':
      return new TransientError('the API does not answer')
    case 'disk':
      return Object.assign(new Error('EIO: i/o error, unlink'), { code: 'EIO' })
  }
}
