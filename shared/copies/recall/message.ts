/**
 * A message of `recall-requests`: one per file and wish. The row is the truth, the message only says that it
 * is there.
 */
import * as z from 'zod'
import type { Replica } from '../../database/replica-schema.ts'
import { InvalidInputError } from '../../errors.ts'
import type { Request } from '../../work/outbox.ts'

const schema = z.object({
  request: z.string().min(1),
  replicaId: z.int().positive(),
  tag: z.string().min(1),
  runNumber: z.int().nonnegative(),
  bucket: z.string().min(1),
  key: z.string().min(1),
  sizeBytes: z.int().nonnegative(),
})
export type RecallMessage = Readonly<z.infer<typeof schema>>

/** The same wish has the same name; asked for anew after it ended, it is another (the generation). */
export const recallMessage = (recall: Replica): Request => ({
  name: `recall:${recall.id}:${recall.generation}`,
  queue: 'recall-requests',
  runId: recall.runId,
  body: {
    replicaId: recall.id,
    tag: recall.tag,
    runNumber: recall.runNumber,
    bucket: recall.bucket,
    key: recall.objectKey,
    sizeBytes: recall.sizeBytes,
  },
})

/** @throws InvalidInputError naming what in the message is wrong. */
export function parseRecallMessage(body: string): RecallMessage {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch (cause) {
    throw new InvalidInputError('a request for a recall is not JSON', {}, { cause })
  }
  const result = schema.safeParse(json)
  if (!result.success)
    throw new InvalidInputError(`a request for a recall is malformed: ${z.prettifyError(result.error)}`)
  return result.data
}
