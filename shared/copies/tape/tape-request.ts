/** A message of `tape-requests` becomes a row. */
import { contentOfFile } from '../../catalogue/replicas.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { InvalidInputError } from '../../errors.ts'
import type { TapeRequest } from '../../messages/tape-requests.ts'
import { askAgain, wishForCopy } from './sweep-copies.ts'
import type { WithTape } from './tape-copy.ts'

/**
 * Writes the wish down, so that the message may go: from then on the row is the truth. A copy that could not
 * be made because its source was gone is tried again: the contents may have come back.
 * @throws InvalidInputError when the catalogue has no such contents.
 */
export async function acceptTapeRequest(context: WithTape, request: TapeRequest): Promise<Replica> {
  const file = await context.database
    .selectFrom('runFiles')
    .innerJoin('runs', 'runs.id', 'runFiles.runId')
    .selectAll('runFiles')
    .select(['runs.tag', 'runs.runNumber'])
    .where('bucket', '=', request.bucket)
    .where('objectKey', '=', request.key)
    .where('sha256', '=', request.sha256)
    .orderBy('runFiles.id', 'desc')
    .executeTakeFirst()
  if (file === undefined)
    throw new InvalidInputError(
      `a tape copy was asked of contents that the catalogue does not know: ${request.key}, sha256 ${request.sha256}`,
    )
  const wish = await wishForCopy(context, contentOfFile(file, file), {
    priority: request.priority,
    requestedBy: 'tape-requests',
  })
  const givenUp = wish.state === 'failed' && wish.nextAttemptAt === null
  if (givenUp || wish.state === 'missing') await askAgain(context, wish)
  return wish
}
