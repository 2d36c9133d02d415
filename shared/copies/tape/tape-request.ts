/** A message of `tape-requests` becomes a row. */
import { contentOfFile } from '../../catalogue/replicas.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { InvalidInputError } from '../../errors.ts'
import type { TapeRequest } from '../../messages/tape-requests.ts'
import { requestAgain, requestCopy } from './sweep-copies.ts'
import type { WithTape } from './tape-copy.ts'

/**
 * Requests the copy in the database, so that the message can be deleted. A copy that could not be made for
 * lack of a source is requested again: the contents may be back.
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
      `a tape copy was requested of contents that the catalogue does not know: ${request.key}, sha256 ${request.sha256}`,
    )
  const copy = await requestCopy(context, contentOfFile(file, file), {
    priority: request.priority,
    requestedBy: 'tape-requests',
  })
  const givenUp = copy.state === 'failed' && copy.nextAttemptAt === null
  if (givenUp || copy.state === 'missing') await requestAgain(context, copy)
  return copy
}
