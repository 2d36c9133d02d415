/** The message of a recall's row: the row is the work, the message only a wake-up. */
import type { ShownRecall } from '../../database/replica-schema.ts'
import type { Request } from '../../work/outbox.ts'

/** The name is that of the recall and its generation: a recall that is restarted gets a new message. */
export const recallMessage = (recall: ShownRecall): Request => ({
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
