/**
 * The states of jobs and files of FTS3 (fts-rest-flask, fts3rest/model: JobActiveStates, JobTerminalStates,
 * FileActiveStates, FileTerminalStates). Pure.
 */
import type { FtsJob } from './jobs.ts'

const ACTIVE: ReadonlySet<string> = new Set([
  ...['STAGING', 'STARTED', 'SUBMITTED', 'READY', 'ACTIVE', 'DELETE', 'ARCHIVING', 'FORCE_START'],
  ...['QOS_TRANSITION', 'QOS_REQUEST_SUBMITTED', 'TOKEN_PREP', 'ON_HOLD', 'ON_HOLD_STAGING'],
])
const ENDED_BADLY: ReadonlySet<string> = new Set(['FAILED', 'CANCELED', 'FINISHEDDIRTY'])
/** Of a file: another source of the job was used. */
const NOT_USED = 'NOT_USED'

const hasEnded = (state: string) => state === 'FINISHED' || ENDED_BADLY.has(state)

/**
 * `unknown`: a state that is not in the lists, or a job that has ended with a file that has not. It is neither taken
 * for an end, after which the file would be copied again, nor silently for progress.
 */
export function progressOf({
  state,
  fileStates,
}: Pick<FtsJob, 'state' | 'fileStates'>): 'active' | 'finished' | 'ended-badly' | 'unknown' {
  const isKnown = (each: string) => ACTIVE.has(each) || hasEnded(each) || each === NOT_USED
  if (state === NOT_USED || ![state, ...fileStates].every(isKnown)) return 'unknown'
  if (ACTIVE.has(state)) return 'active'
  if (!fileStates.every((each) => hasEnded(each) || each === NOT_USED)) return 'unknown'
  return state === 'FINISHED' ? 'finished' : 'ended-badly'
}
