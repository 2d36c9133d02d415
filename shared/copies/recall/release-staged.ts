/**
 * What the tape endpoint has staged for a recall that is over is let go: on a small disk buffer the next ones
 * wait for its place.
 */

import { contentOfRecall, RECALL } from '../../catalogue/recalls.ts'
import { replicasOfContent } from '../../catalogue/replicas.ts'
import type { Recall } from '../../database/replica-schema.ts'
import type { Trail } from '../../work/trail.ts'
import type { WithTape } from '../tape/tape-copy.ts'
import { tapeFileOf } from '../verify/check-replica.ts'

/**
 * Called while the task is still held: the same recall cannot have begun anew, with the same request at the
 * endpoint.
 * @throws TransientError when the endpoint could not be told: it lets go by itself when the lifetime is over.
 */
export async function releaseStaged(
  context: WithTape,
  recall: Recall,
  trail: Trail,
  signal: AbortSignal,
): Promise<void> {
  const request = trail.reference?.stage
  if (request === undefined) return
  if (!(await isNeededByAnotherRecall(context, recall))) {
    // Whatever state it is in by now: a file that was staged and turned out to be wrong lies on the disk
    // buffer all the same. Of several the request is about one, and passed over for the others.
    const copies = await replicasOfContent(context.database, contentOfRecall(recall))
    for (const copy of copies)
      if (copy.kind === 'tape' && copy.endpoint === context.tape.endpoint)
        await context.tape.release(tapeFileOf(copy), request, signal)
  }
  await trail.note({ stage: null })
}

/**
 * The same contents may be called back under two keys, and lie in one place at the endpoint. Some endpoints
 * let go of a file whatever request it is named with (CTA): then it stays for both, until the last one lets
 * go or the lifetime is over.
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
