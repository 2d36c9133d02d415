/** Marks and words for the state of a run and its copies. */
import { html } from 'hono/html'
import { openProblems, PROBLEMS } from '../../../shared/catalogue/open-problems.ts'
import { FAILED_OR_WRONG, OVER, VERIFIED } from '../../../shared/catalogue/replica-states.ts'
import type { CopyKind, CopyState, ShownCopy } from '../../../shared/database/replica-schema.ts'
import type { Run } from '../../../shared/database/schema.ts'
import type { StorageSummary } from '../../../shared/database/storage-summary.ts'
import { isFailingCopy } from '../../../shared/queries/site-state.ts'
import { type Html, mark, type Tone } from './parts.ts'

type Marked = Pick<Run, 'problems' | 'firstFileAt'>

/** Its open problems; complete only without one. */
export function runMark(run: Marked & Pick<Run, 'isHistory'>): Html {
  return run.isHistory ? html`${stateMark(run)} <small class="quiet">history</small>` : stateMark(run)
}

function stateMark(run: Marked): Html {
  const problems = openProblems(run)
  if (problems.length > 0) return mark('bad', problems.map((kind) => PROBLEMS[kind]).join(', '))
  return run.firstFileAt === null ? mark('waiting', 'no file yet') : mark('good', 'complete')
}

const CLOUD: Readonly<Record<StorageSummary['cloud'], readonly [Tone, string]>> = {
  present: ['good', 'there'],
  partly: ['waiting', 'partly'],
  deleted: ['none', 'deleted'],
  absent: ['none', 'absent'],
  suspicious: ['bad', 'suspicious'],
}
const TAPE: Readonly<Record<StorageSummary['tape'], readonly [Tone, string]>> = {
  'on-media': ['good', 'verified'],
  'under-way': ['moving', 'in progress'],
  none: ['none', 'no copy'],
  failed: ['bad', 'failed'],
}

export const cloudMark = (cloud: StorageSummary['cloud']): Html => mark(...CLOUD[cloud])
export const tapeMark = (tape: StorageSummary['tape']): Html => mark(...TAPE[tape])

/** Also reports a failing copy, which is not a state of the run yet. */
export function tapeMarkOf(tape: StorageSummary['tape'], replicas: readonly ShownCopy[]): Html {
  const failing = replicas.find((replica) => replica.kind === 'tape' && isFailingCopy(replica))
  return tape === 'under-way' && failing !== undefined
    ? mark('bad', 'failing, will be retried')
    : tapeMark(tape)
}

export const PLACES: Readonly<Record<CopyKind, string>> = {
  local: 'DAQ disk',
  cloud: 'store',
  tape: 'tape',
  recall: 'recalled from tape',
}

export function replicaTone(state: CopyState): Tone {
  if (VERIFIED.includes(state)) return 'good'
  if (FAILED_OR_WRONG.includes(state)) return 'bad'
  if (OVER.includes(state)) return 'none'
  return state === 'requested' ? 'waiting' : 'moving'
}
