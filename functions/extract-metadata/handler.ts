/** Queue `runs`: an object that arrived becomes a catalogued run. */
import { parkNotification } from '../../shared/catalogue/parked.ts'
import type { StorageContext } from '../../shared/context.ts'
import { ConflictError, classify, type Failure } from '../../shared/errors.ts'
import { processArrival } from '../../shared/ingest/process-arrival.ts'
import { parseNotification } from '../../shared/notifications/parse.ts'
import { parseRunKey } from '../../shared/run.ts'
import type { Invocation, QueueHandler } from '../../shared/runtime/handler.ts'
import { flushOutbox } from '../../shared/work/outbox.ts'

export function createHandler(context: StorageContext): QueueHandler {
  return async (event, invocation) => {
    const batchItemFailures: { itemIdentifier: string }[] = []
    for (const message of event.Records) {
      try {
        await processMessage(context, message.body, invocation)
      } catch (error) {
        const failure = classify(error)
        invocation.log[levelOf(failure)](
          { error: failure, message: message.messageId },
          'message-not-processed',
        )
        batchItemFailures.push({ itemIdentifier: message.messageId })
      }
    }
    return { batchItemFailures }
  }
}

/** Somebody else being at it is no trouble. */
const levelOf = (failure: Failure) => (failure instanceof ConflictError ? 'info' : 'error')

async function processMessage(
  context: StorageContext,
  body: string,
  { signal, log }: Invocation,
): Promise<void> {
  const { arrivals, rejected } = parseNotification(body)
  if (rejected.length > 0) {
    // The whole message is kept: what a part of it means is often seen only from its neighbours.
    const reason = [...new Set(rejected.map((part) => part.reason))].join('; ')
    const alert = await parkNotification(context.database, body, reason, context.now())
    await flushOutbox(context.database, context.queues, { names: [alert.name] }, signal)
    log.warn({ reason }, 'notification-parked')
  }
  for (const arrival of arrivals) {
    const started = performance.now()
    const { tag, runNumber: run } = parseRunKey(arrival.key) ?? {}
    const fields = log.child({ bucket: arrival.bucket, key: arrival.key, tag, run })
    const outcome = await processArrival(context, arrival, signal, fields).catch((error: unknown) => {
      const failure = classify(error)
      // Said with its run, whose page and logs show it.
      fields[levelOf(failure)]({ error: failure }, 'arrival-not-processed')
      throw failure
    })
    fields.info(
      { outcome, source: arrival.source, ms: Math.round(performance.now() - started) },
      'arrival-processed',
    )
  }
}
