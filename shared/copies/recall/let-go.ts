/**
 * What the tape endpoint has staged for a recall that is over is let go: on a small disk buffer the next ones
 * wait for its place.
 */

import { RECALL_WORKABLE } from '../../catalogue/replica-states.ts'
import { contentOf, replicasOfContent } from '../../catalogue/replicas.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { WithTape } from '../tape/tape-copy.ts'
import { tapeFileOf } from '../verify/check-replica.ts'
import { stageReferenceOf } from './reference.ts'
import { isRecalling } from './whereabouts.ts'

/**
 * Called while the recall is still claimed: the same wish cannot have begun anew, with the same request at
 * the endpoint.
 * @throws TransientError when the endpoint could not be told: it lets go by itself when the lifetime is over.
 */
export async function letGo(context: WithTape, recall: Replica, signal: AbortSignal): Promise<void> {
  const reference = stageReferenceOf(recall)
  if (reference === null) return
  if (await isReadForAnother(context, recall)) return
  // Whatever state it is in by now: a file that was staged and turned out to be wrong lies on the disk buffer
  // all the same. Of several the request is about one, and passed over for the others.
  const copies = await replicasOfContent(context.database, contentOf(recall))
  for (const copy of copies)
    if (copy.kind === 'tape' && copy.endpoint === context.tape.endpoint)
      await context.tape.release(tapeFileOf(copy), reference, signal)
}

/**
 * The same contents may be called back under two keys, and lie in one place at the endpoint. Some endpoints
 * let go of a file whatever request it is named with (CTA): then it stays for both, until the last one lets
 * go or the lifetime is over.
 */
async function isReadForAnother({ database }: WithTape, { id, sha256 }: Replica): Promise<boolean> {
  const others = await database
    .selectFrom('replicas')
    .select(['state', 'nextAttemptAt'])
    .where('kind', '=', 'recall')
    .where('state', 'in', RECALL_WORKABLE)
    .where('sha256', '=', sha256)
    .where('id', '!=', id)
    .execute()
  return others.some(isRecalling)
}
