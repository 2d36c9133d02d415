/**
 * Stories in which what random ones reach only now and then happens for certain: each names what it must have
 * led to.
 */
import type { Action, Step } from './actions.ts'
import type { Accident, Place } from './call.ts'
import { UNDISTURBED } from './calls.ts'

export interface Ending {
  readonly name: string
  readonly story: readonly Action[]
  /** What the world counts, at least once each, when the story is over. */
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
const drop: Action = { act: 'drop', key: 0, content: 0, kept: true, told: 'now' }
const lose: Action = { act: 'lose', which: 0 }
const leavesTheStore: readonly Action[] = [drop, hour, wait(3 * DAYS), step({ do: 'clean' })]

export const ENDINGS: readonly Ending[] = [
  {
    name: 'a run on tape leaves the store when its time is over',
    story: leavesTheStore,
    reaches: ['a run was deleted from the store'],
  },
  {
    name: 'a run that left the store comes back from tape',
    story: [...leavesTheStore, step({ do: 'ask back', key: 0, days: 1 }), hour, hour],
    reaches: ['a run was deleted from the store', 'a run was brought back'],
  },
  {
    name: 'no message is ever delivered',
    story: [
      { ...drop, told: 'never' },
      wait(3),
      step({ do: 'reconcile' }),
      lose,
      step({ do: 'track arrivals' }),
      lose,
      wait(20),
      step({ do: 'sweep' }),
      step({ do: 'copy' }),
      { act: 'service', ends: 'well' },
      { act: 'migrate' },
      wait(60),
      step({ do: 'follow' }),
      wait(3 * DAYS),
      step({ do: 'clean' }),
    ],
    reaches: ['a run was deleted from the store'],
  },
  {
    name: 'a file leaves the disk of the DAQ',
    story: [drop, hour, step({ do: 'tell of file', key: 0 }), step({ do: 'remove file', key: 0 })],
    reaches: ['a file of the DAQ was removed'],
  },
]

const PLACES: readonly Place[] = ['database', 'store', 'tape', 'queue', 'disk', 'network']

/** The life of a run in which a process meets this accident at every place where it can. */
export function lifeWith(kind: Accident['kind']): Ending {
  // A process that stands still is woken; where it came to its end, time passes until its lease is over.
  const at = (place: Place, work: Step['work']): readonly Action[] => [
    step(work, { kind, place, at: 0, done: true }),
    wait(400),
    { act: 'wake', which: 0, how: 'goes on' },
  ]
  return {
    name: `a process ${kind} at every place it meets`,
    story: [
      { act: 'drop', key: 0, content: 0, kept: true, told: 'later' },
      ...at('store', { do: 'deliver', which: 0, stays: true }),
      ...at('database', { do: 'deliver', which: 0, stays: true }),
      { act: 'drop', key: 1, content: 0, kept: false, told: 'never' },
      wait(60),
      ...at('queue', { do: 'reconcile' }),
      hour,
      { act: 'drop', key: 2, content: 0, kept: true, told: 'now' },
      ...at('tape', { do: 'deliver', which: 0, stays: true }),
      hour,
      step({ do: 'tell of file', key: 0 }),
      ...at('network', { do: 'remove file', key: 0 }),
      step({ do: 'tell of file', key: 2 }),
      ...at('disk', { do: 'remove file', key: 2 }),
    ],
    reaches: PLACES.map((place) => `${kind} at the ${place}`),
  }
}
