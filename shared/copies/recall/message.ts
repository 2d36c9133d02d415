/** The message of a recall's row: the row is the work, the message only a wake-up. */
import type { Replica } from '../../database/replica-schema.ts'
import type { Request } from '../../work/outbox.ts'

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
