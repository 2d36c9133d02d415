/**
 * Directed stories for events that random stories reach only sometimes. Each states the events that must
 * occur.
 */
import type { Action, Step } from './actions.ts'
import type { Accident, Place } from './call.ts'
import { UNDISTURBED } from './calls.ts'

export interface Ending {
  readonly name: string
  readonly story: readonly Action[]
  /** Events that the world must have counted at least once each. */
  readonly reaches: readonly string[]
}

const DAYS = 24 * 60
const step = (work: Step['work'], accident: Accident | null = null): Action => ({
  act: 'step',
  work,
  ...UNDISTURBED,
  accident,
})
const wait = (minutes: number): Action => ({ act: 'wait', minutes })
const hour: Action = { act: 'hour' }
const drop: Action = { act: 'drop', key: 0, content: 0, onDisk: true, notified: 'now' }
const lose: Action = { act: 'lose', which: 0 }
const cleaned: readonly Action[] = [drop, hour, wait(3 * DAYS), step({ do: 'clean' })]

export const ENDINGS: readonly Ending[] = [
  {
    name: 'a run on tape is deleted from the store after its retention time',
    story: cleaned,
    reaches: ['a run was deleted from the store'],
  },
  {
    name: 'a run that was deleted from the store is recalled from tape',
    story: [...cleaned, step({ do: 'request recall', key: 0, days: 1 }), hour, hour],
    reaches: ['a run was deleted from the store', 'a run was recalled'],
  },
  {
    name: 'no message is ever delivered',
    story: [
      { ...drop, notified: 'never' },
      wait(3),
      step({ do: 'reconcile' }),
      lose,
      step({ do: 'track arrivals' }),
      lose,
      wait(20),
      step({ do: 'sweep' }),
      step({ do: 'copy' }),
      { act: 'service', jobs: 'done' },
      { act: 'migrate' },
      wait(60),
      step({ do: 'follow' }),
      wait(3 * DAYS),
      step({ do: 'clean' }),
    ],
    reaches: ['a run was deleted from the store'],
  },
  {
    name: 'a file is removed from the disk of the DAQ',
    story: [drop, hour, step({ do: 'report file', key: 0 }), step({ do: 'remove file', key: 0 })],
    reaches: ['a file of the DAQ was removed'],
  },
]

const PLACES: readonly Place[] = ['database', 'store', 'tape', 'queue', 'disk', 'network']

/** The life of a run with this accident at every place where it can happen. */
export function lifeWithAccident(kind: Accident['kind']): Ending {
  // Time passes until the lease of the process is over; if it stalled, it is woken then.
  const at = (place: Place, work: Step['work']): readonly Action[] => [
    step(work, { kind, place, at: 0, done: true }),
    wait(400),
    { act: 'wake', which: 0, how: 'continues' },
  ]
  return {
    name: `a process ${kind} at every place where it can`,
    story: [
      { act: 'drop', key: 0, content: 0, onDisk: true, notified: 'later' },
      ...at('store', { do: 'deliver', which: 0, stays: true }),
      ...at('database', { do: 'deliver', which: 0, stays: true }),
      { act: 'drop', key: 1, content: 0, onDisk: false, notified: 'never' },
      wait(60),
      ...at('queue', { do: 'reconcile' }),
      hour,
      { act: 'drop', key: 2, content: 0, onDisk: true, notified: 'now' },
      ...at('tape', { do: 'deliver', which: 0, stays: true }),
      hour,
      step({ do: 'report file', key: 0 }),
      ...at('network', { do: 'remove file', key: 0 }),
      step({ do: 'report file', key: 2 }),
      ...at('disk', { do: 'remove file', key: 2 }),
    ],
    reaches: PLACES.map((place) => `${kind} at the ${place}`),
  }
}
