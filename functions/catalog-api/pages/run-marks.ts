/** Marks and words for the state of a run and its copies. */
import { html } from 'hono/html'
import { openProblems, PROBLEMS } from '../../../shared/catalogue/open-problems.ts'
import { FAILED_OR_WRONG, OVER, VERIFIED } from '../../../shared/catalogue/replica-states.ts'
import type { CopyState, ShownCopy } from '../../../shared/database/replica-schema.ts'
import type { Run } from '../../../shared/database/schema.ts'
import type { StorageSummary } from '../../../shared/database/storage-summary.ts'
import { isFailingCopy } from '../../../shared/queries/site-state.ts'
import { STORE_TEXTS, TAPE_TEXTS } from '../../../shared/queries/state-words.ts'
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

const STORE_TONES: Readonly<Record<StorageSummary['cloud'], Tone>> = {
  present: 'good',
  partly: 'waiting',
  deleted: 'none',
  absent: 'none',
  suspicious: 'bad',
}
const TAPE_TONES: Readonly<Record<StorageSummary['tape'], Tone>> = {
  'on-media': 'good',
  'under-way': 'moving',
  none: 'none',
  failed: 'bad',
}

export const cloudMark = (cloud: StorageSummary['cloud']): Html =>
  mark(STORE_TONES[cloud], STORE_TEXTS[cloud])
export const tapeMark = (tape: StorageSummary['tape']): Html => mark(TAPE_TONES[tape], TAPE_TEXTS[tape])

/** Verified by checksums no longer ago than every copy is verified again (CYGNET_SCRUB_DAYS). */
export const isVerifiedNow = (
  { verifiedAt: at, verifiedEvidence: evidence, doubtedEvidence: doubt }: ShownCopy,
  scrubDays: number,
  now: Date,
): boolean =>
  at !== null &&
  doubt === null &&
  (evidence === 'read' || evidence === 'stored-checksum') &&
  now.getTime() - at.getTime() <= scrubDays * DAY_MS

const DAY_MS = 86_400_000

/** Green only for what is verified now; what nobody has checked for long is grey. */
export function copyTone(copy: ShownCopy, scrubDays: number, now: Date): Tone {
  if (isFailingCopy(copy)) return 'bad'
  const tone = replicaTone(copy.state)
  return tone === 'good' && !isVerifiedNow(copy, scrubDays, now) ? 'old' : tone
}

export function replicaTone(state: CopyState): Tone {
  if (VERIFIED.includes(state)) return 'good'
  if (FAILED_OR_WRONG.includes(state)) return 'bad'
  if (OVER.includes(state)) return 'none'
  return state === 'requested' ? 'waiting' : 'moving'
}
