/** Stories that once failed, shortened to the actions that matter. */
import type { Action, Step } from './actions.ts'
import type { Accident } from './call.ts'

const drop: Action = { act: 'drop', key: 0, content: 0, onDisk: false, notified: 'now' }
const step = (work: Step['work'], accident: Accident | null = null): Action => ({
  act: 'step',
  work,
  accident,
  pace: [],
})

export const REGRESSIONS: readonly { readonly name: string; readonly story: readonly Action[] }[] = [
  {
    name: 'contents that were removed before they were copied and dropped again are copied to tape',
    story: [drop, { act: 'harm', how: 'remove object', which: 0 }, { act: 'hour' }, { act: 'hour' }, drop],
  },
]

const DELETIONS = {
  'from the store': { do: 'delete', which: 0 },
  'from the disk of the DAQ': { do: 'remove file', key: 0 },
} as const

/**
 * A deletion whose process stalls at one of its requests for two days. Meanwhile the recovery after crashes
 * may have completed or withdrawn the deletion (`recovered`).
 */
export const stalledDeletion = (
  deletion: keyof typeof DELETIONS,
  at: number,
  recovered: boolean,
): readonly Action[] => {
  const fromStore = deletion === 'from the store'
  const accident: Accident = { kind: 'stalls', place: null, at, done: true }
  return [
    { act: 'drop', key: 0, content: 0, onDisk: !fromStore, notified: 'now' },
    step({ do: 'deliver', which: 0, stays: false }),
    step({ do: 'report file', key: 0 }),
    step(DELETIONS[deletion], accident),
    { act: 'wait', minutes: 2 * 24 * 60 },
    ...(recovered ? [step(fromStore ? { do: 'settle', which: 0 } : { do: 'start push' })] : []),
    { act: 'wake', which: 0, how: 'continues' },
  ]
}
