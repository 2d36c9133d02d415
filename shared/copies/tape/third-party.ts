/**
 * The memory of third-party copies that failed, in the task's row: after three of a file, by whichever
 * functions, its bytes are streamed through ours. An endpoint whose transfers always break after some bytes
 * would otherwise be asked for ever.
 */
import { CygnetError } from '../../errors.ts'
import type { Trail } from '../../work/trail.ts'

const FAILURES_BEFORE_STREAMING = 3
/** Longer than the longest pause between two attempts. */
const FORGOTTEN_AFTER_MS = 86_400_000

/** Whether the endpoint is still asked to transfer the file of this task itself. */
export const mayUseThirdParty = (trail: Trail, at: Date): boolean =>
  failuresIn(trail, at) < FAILURES_BEFORE_STREAMING

/** The row has the number and the time of the last one; none a day after that. */
function failuresIn({ reference }: Trail, at: Date): number {
  const [count = '', last] = (reference?.thirdPartyFailures ?? '').split(' ')
  const isForgotten = last !== undefined && at.getTime() - Date.parse(last) > FORGOTTEN_AFTER_MS
  return isForgotten ? 0 : Number(count)
}

/** Counts an error that a third-party copy ended with (`thirdParty` in its details). */
export async function noteThirdPartyFailure(trail: Trail, error: unknown, at: Date): Promise<void> {
  if (!(error instanceof CygnetError) || error.details.thirdParty !== true) return
  await trail.note({ thirdPartyFailures: `${failuresIn(trail, at) + 1} ${at.toISOString()}` })
}
