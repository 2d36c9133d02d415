/** Dead letters for pages and programs: their subject, and the last known error. */
import * as z from 'zod'
import type { Context } from '../../../shared/context.ts'
import { parseNotification } from '../../../shared/notifications/parse.ts'
import { errorOfObject } from '../../../shared/queries/waiting-work.ts'
import { withDeadLetters } from '../../../shared/queue/dead-letters.ts'
import type { QueuedMessage, QueueName } from '../../../shared/queue/queues.ts'
import { cutText } from '../../../shared/text.ts'

export interface DeadLetter {
  readonly id: string
  readonly sentAt: Date | null
  /** An object, a run, or the first words of the message. */
  readonly about: string
  /** From the arrival or the copy; null if neither has one. */
  readonly attempts: number | null
  readonly lastError: string | null
}

/** Reading hides the letters from other readers for a moment. */
const MOST_SHOWN = 50
const WORDS = 80

export const readDeadLetters = (
  context: Context<'database' | 'queues'>,
  queue: QueueName,
  signal: AbortSignal,
): Promise<readonly DeadLetter[]> =>
  withDeadLetters(context.queues, queue, MOST_SHOWN, signal, (messages) =>
    Promise.all(messages.map((message) => describe(context, queue, message))),
  )

const request = z.looseObject({ bucket: z.string(), key: z.string() })

async function describe(
  { database }: Context<'database'>,
  queue: QueueName,
  message: QueuedMessage,
): Promise<DeadLetter> {
  const object =
    queue === 'runs'
      ? parseNotification(message.body).arrivals[0]
      : request.safeParse(jsonOf(message.body)).data
  const known = object === undefined ? null : await errorOfObject(database, queue, object)
  return {
    id: message.messageId,
    sentAt: message.sentAt,
    about: object === undefined ? cutText(message.body, WORDS) : `${object.bucket}/${object.key}`,
    attempts: known?.attempts ?? null,
    lastError: known?.error ?? null,
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
