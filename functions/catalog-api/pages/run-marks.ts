/** Marks and words for the state of a run and its copies. Green only for what is verified now. */
import { html } from 'hono/html'
import { openProblems, PROBLEMS } from '../../../shared/catalogue/open-problems.ts'
import { FAILED_OR_WRONG, OVER, VERIFIED } from '../../../shared/catalogue/replica-states.ts'
import type { CopyState, ShownCopy } from '../../../shared/database/replica-schema.ts'
import type { Run } from '../../../shared/database/schema.ts'
import type { StorageSummary } from '../../../shared/database/storage-summary.ts'
import { isFailingCopy } from '../../../shared/queries/site-state.ts'
import { STORE_TEXTS, TAPE_TEXTS } from '../../../shared/queries/state-words.ts'
import { isNow, isVerifiedNow, type Period, type RunVerified } from '../../../shared/queries/verified-now.ts'
import { agoOf, type Html, mark, type Tone } from './parts.ts'

type Marked = Pick<Run, 'problems' | 'firstFileAt' | 'isHistory'>

/** Its open problems; complete only without one, and green only while a copy of each file is verified now. */
export function runMark(run: Marked, { anywhere }: RunVerified, period: Period): Html {
  const shown = stateMark(run, isNow(anywhere, period))
  return run.isHistory ? html`${shown} <small class="quiet">history</small>` : shown
}

function stateMark(run: Marked, isVerified: boolean): Html {
  const problems = openProblems(run)
  if (problems.length > 0) return mark('bad', problems.map((kind) => PROBLEMS[kind]).join(', '))
  if (run.firstFileAt === null) return mark('waiting', 'no file yet')
  return mark(isVerified ? 'good' : 'old', 'complete')
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

export const cloudMark = (cloud: StorageSummary['cloud'], verified: RunVerified, period: Period): Html =>
  placeMark(STORE_TONES[cloud], STORE_TEXTS[cloud], verified.cloud, period)
export const tapeMark = (tape: StorageSummary['tape'], verified: RunVerified, period: Period): Html =>
  placeMark(TAPE_TONES[tape], TAPE_TEXTS[tape], verified.tape, period)

/** What is there but was not verified lately is grey, with the age of its verification. */
function placeMark(tone: Tone, text: string, since: Date | null, period: Period): Html {
  if (tone !== 'good' || isNow(since, period)) return mark(tone, text)
  return html`${mark('old', text)} <small class="quiet">${since === null ? 'not verified' : html`verified ${agoOf(since, period.now)}`}</small>`
}

export function copyTone(copy: ShownCopy, period: Period): Tone {
  if (isFailingCopy(copy)) return 'bad'
  if (VERIFIED.includes(copy.state)) return isVerifiedNow(copy, period) ? 'good' : 'old'
  return unfinishedTone(copy.state)
}

/** Of a state in which no copy counts as verified. */
export function unfinishedTone(state: CopyState): Tone {
  if (FAILED_OR_WRONG.includes(state)) return 'bad'
  if (OVER.includes(state)) return 'none'
  return state === 'requested' ? 'waiting' : 'moving'
}
