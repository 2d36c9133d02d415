/**
 * The memory of third-party copies that failed, in the task's row: after three of a file, by whichever
 * functions, its bytes are streamed through ours. An endpoint whose transfers always break after some bytes
 * would otherwise be asked for ever.
 */
import { CygnetError } from '../../errors.ts'
import type { Trail } from '../../work/trail.ts'

const FAILURES_BEFORE_STREAMING = 3

/** Whether the endpoint is still asked to transfer the file of this task itself. */
export const mayUseThirdParty = ({ reference }: Trail): boolean =>
  failuresIn(reference) < FAILURES_BEFORE_STREAMING

const failuresIn = (reference: Trail['reference']) => Number(reference?.thirdPartyFailures ?? 0)

/** Counts an error that a third-party copy ended with (`thirdParty` in its details). */
export async function noteThirdPartyFailure(trail: Trail, error: unknown): Promise<void> {
  if (error instanceof CygnetError && error.details.thirdParty === true)
    await trail.note({ thirdPartyFailures: String(failuresIn(trail.reference) + 1) })
}
