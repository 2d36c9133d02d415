/** One step of copies to tape, for tests. */
import { findReplica } from '../../shared/catalogue/replicas.ts'
import { tapeCopy, type WithTape } from '../../shared/copies/tape/tape-copy.ts'
import type { CopyState } from '../../shared/database/replica-schema.ts'
import type { Logger } from '../../shared/log.ts'
import { advanceNext } from '../../shared/work/advance.ts'
import { tapeBreaker } from '../../shared/work/breaker.ts'

/**
 * Makes the next copy that waits. @returns the state that the copy is in then; `lost` when another function
 * took it over, null when no copy is due.
 */
export async function copyNext(
  context: WithTape,
  signal: AbortSignal,
  log: Logger,
): Promise<CopyState | 'lost' | null> {
  const { copySeconds, copiesAtOnce } = context.config.tape
  const options = {
    dependency: tapeBreaker(context.tape.endpoint),
    turn: { of: 'due', mostAtOnce: copiesAtOnce },
    limitSeconds: copySeconds,
  } as const
  const end = await advanceNext(context, tapeCopy, options, signal, log)
  if (end === null) return null
  if (end.ending.kind === 'lost') return 'lost'
  return (await findReplica(context.database, end.task.subjectId))?.state ?? null
}
