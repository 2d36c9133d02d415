/**
 * Releases the file that the tape endpoint has staged for a recall that is over: on a small disk buffer the
 * next recalls wait for the space.
 */
import { RECALL } from '../../catalogue/recalls.ts'
import { contentOf, replicasOfContent } from '../../catalogue/replicas.ts'
import type { Recall } from '../../database/replica-schema.ts'
import type { Round } from '../../tape/driver.ts'
import type { Trail } from '../../work/trail.ts'
import type { WithTape } from '../tape/tape-copy.ts'
import { tapeFileOf } from '../verify/check-replica.ts'

/** The recalls of one round share what the endpoint answers about a stage request of many files. */
export interface InRound {
  readonly round?: Round
}

/**
 * Call it while the lease on the task is held: otherwise the same recall may have been restarted, with the
 * same request at the endpoint.
 * @throws TransientError when the endpoint did not take the request: it releases the file itself when the
 * lifetime is over.
 */
export async function releaseStaged(
  context: WithTape & InRound,
  recall: Recall,
  trail: Trail,
  signal: AbortSignal,
): Promise<void> {
  const request = trail.reference?.stage
  if (request === undefined) return
  if (!(await isNeededByAnotherRecall(context, recall))) {
    // In any state: a staged file that turned out to be wrong is still on the disk buffer. If there are
    // several copies, the request is for one of them, and the endpoint ignores it for the others.
    const copies = await replicasOfContent(context.database, contentOf(recall))
    for (const copy of copies)
      if (copy.kind === 'tape' && copy.endpoint === context.tape.endpoint)
        await context.tape.release(tapeFileOf(copy), request, signal, context.round)
  }
  await trail.note({ stage: null })
}

/**
 * The same contents may be recalled under two keys and be one file at the endpoint. Some endpoints (CTA)
 * release a file whichever request is named: so it stays staged until the last of these recalls releases it,
 * or until the lifetime is over.
 */
async function isNeededByAnotherRecall({ database }: WithTape, { id, sha256 }: Recall): Promise<boolean> {
  const others = await database
    .selectFrom('tasks')
    .innerJoin('recalls', 'recalls.id', 'tasks.subjectId')
    .select('recalls.id')
    .where('tasks.kind', '=', RECALL)
    .where('tasks.state', 'not in', ['done', 'given-up'])
    .where('recalls.state', '=', 'planned')
    .where('recalls.sha256', '=', sha256)
    .where('recalls.id', '!=', id)
    .limit(1)
    .execute()
  return others.length > 0
}
