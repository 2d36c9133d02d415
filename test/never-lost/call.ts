/**
 * One call of a function, to which an accident can happen at any of the points where it meets the database,
 * the store, the tape endpoint, a queue, a disk or the API: before or after what it asked for there was done.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { TransientError } from '../../shared/errors.ts'

export type Place = 'database' | 'store' | 'tape' | 'queue' | 'disk' | 'network'

export interface Accident {
  /**
   * dies: the process is gone, nothing of it runs on. fails: what was asked fails, or its answer is lost.
   * stops: the host asks the function to stop. stalls: the process stands still until it is woken, perhaps
   * days later.
   */
  readonly kind: 'dies' | 'fails' | 'stops' | 'stalls'
  /** Null: wherever it is. */
  readonly place: Place | null
  /**
   * The point at which it happens, counted from 0 among those of the place; a call that meets fewer has no
   * accident.
   */
  readonly at: number
  /** Whether what was asked for at that point is done all the same. */
  readonly done: boolean
}

/** The process is gone: whatever catches this cannot do anything any more. */
export class Died extends Error {}

/** What the tape endpoint answered when it said that a file is there. */
export interface Look {
  readonly name: string
  readonly sha256: string
  readonly onMedia: boolean
  /** When the call knew it, in the story's time, milliseconds. */
  readonly atMs: number
}

export interface Call {
  readonly name: string
  readonly signal: AbortSignal
  /** The story's time when it began, milliseconds. */
  readonly begunAt: number
  readonly looks: Look[]
  /** Transactions that are open: a process that stood still in one would only hold up the test. */
  transactions: number
  /** Settles when the call stands still. */
  readonly stalled: Promise<'stalled'>
  wake(how: 'goes on' | 'dies'): void
  /** Asks for something outside of the process. */
  through<T>(place: Place, ask: () => Promise<T>): Promise<T>
}

export interface CallOptions {
  readonly name: string
  readonly begunAt: number
  readonly accident: Accident | null
  /**
   * How many turns of the event loop it waits before each point, over and over: what mixes calls that run at
   * once.
   */
  readonly pace: readonly number[]
  readonly onAccident: (kind: Accident['kind'], place: Place) => void
}

export function beginCall({ name, begunAt, accident, pace, onAccident }: CallOptions): Call {
  const stop = new AbortController()
  const stalling = Promise.withResolvers<'stalled'>()
  const waking = Promise.withResolvers<void>()
  let met = 0
  let happened = accident === null
  let dead = false

  /** Points met of the accident's place. */
  let near = 0
  const isDue = (place: Place) =>
    accident !== null &&
    !happened &&
    (accident.place ?? place) === place &&
    near > accident.at &&
    (accident.kind !== 'stalls' || canStall(place))
  /** A file is removed at once: nothing comes between. */
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
    looks: [],
    transactions: 0,
    stalled: stalling.promise,
    wake(how) {
      if (how === 'dies') dead = true
      waking.resolve()
    },
    async through(place, ask) {
      if ((accident?.place ?? place) === place) near++
      for (let turns = pace[met++ % Math.max(1, pace.length)] ?? 0; turns > 0; turns--) await turn()
      if (dead) throw new Died(`${name} died`)
      if (accident?.done === false && isDue(place)) await happen(place)
      const answer = await ask()
      if (accident?.done === true && isDue(place))
        await happen(place).catch((error) => neverRead(answer, error))
      if (dead) neverRead(answer, new Died(`${name} died`))
      return answer
    },
  }
  return call
}

/** An answer of the store that nobody will read: its connection goes back. */
function neverRead(answer: unknown, error: unknown): never {
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
