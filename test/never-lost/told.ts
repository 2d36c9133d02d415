/** Stories that once ended badly, cut down to what mattered. */
import type { Action, Drop, Step } from './actions.ts'
import type { Accident } from './call.ts'

const drop = (told: Drop['told'] = 'now'): Action => ({ act: 'drop', key: 0, content: 0, kept: false, told })
const step = (work: Step['work'], accident: Accident | null = null): Action => ({
  act: 'step',
  work,
  accident,
  pace: [],
})

export const TOLD: readonly { readonly name: string; readonly story: readonly Action[] }[] = [
  {
    name: 'contents that went before they were copied, and were dropped once more, get to tape',
    story: [
      drop(),
      { act: 'harm', how: 'removes an object', which: 0 },
      { act: 'hour' },
      { act: 'hour' },
      drop(),
    ],
  },
]

const DELETIONS = {
  'from the store': { do: 'delete', which: 0 },
  'from the disk of the DAQ': { do: 'remove file', key: 0 },
} as const

/**
 * A deletion whose process stands still at one of its points for two days; meanwhile what is put right after
 * crashes may have put it right.
 */
export const deletionThatStandsStill = (
  deletion: keyof typeof DELETIONS,
  at: number,
  putRight: boolean,
): readonly Action[] => {
  const fromStore = deletion === 'from the store'
  const accident: Accident = { kind: 'stalls', place: null, at, done: true }
  return [
    { act: 'drop', key: 0, content: 0, kept: !fromStore, told: 'now' },
    step({ do: 'deliver', which: 0, stays: false }),
    step({ do: 'tell of file', key: 0 }),
    step(DELETIONS[deletion], accident),
    { act: 'wait', minutes: 2 * 24 * 60 },
    ...(putRight ? [step(fromStore ? { do: 'settle', which: 0 } : { do: 'start push' })] : []),
    { act: 'wake', which: 0, how: 'goes on' },
  ]
}
