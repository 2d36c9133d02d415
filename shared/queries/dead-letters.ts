/** Dead letters and the work that they are about, from its rows in the catalogue. */
import * as z from 'zod'
import { isFinished } from '../catalogue/arrivals.ts'
import { VERIFIED } from '../catalogue/replica-states.ts'
import type { Database } from '../database/connect.ts'
import type { ObjectArrival } from '../notifications/arrival.ts'
import { parseNotification } from '../notifications/parse.ts'
import { dismissDeadLetters, retryDeadLetters, withDeadLetters } from '../queue/dead-letters.ts'
import type { QueuedMessage, QueueName, Queues } from '../queue/queues.ts'
import { cutText } from '../text.ts'

export interface DeadLetter {
  readonly queue: QueueName
  readonly id: string
  readonly sentAt: Date | null
  readonly receiveCount: number
  /** An object, or the first words of the message. */
  readonly about: string
  /** Of the arrival, copy or recall; null if the catalogue has none. */
  readonly state: string | null
  /** Its work is done without it: it may be dismissed. */
  readonly isFinished: boolean
  readonly attempts: number | null
  readonly lastError: string | null
  readonly body: string
}

/** Which letters: one or more by their ids, all that are finished, or all others. */
export type LetterChoice = { readonly ids: readonly string[] } | 'finished' | 'unfinished'

interface Clients {
  readonly database: Database
  readonly queues: Queues
}

const WORDS = 80

/** Up to `limit` dead letters of a queue. Reading hides them from other readers for a moment. */
export const readDeadLetters = (
  context: Clients,
  queue: QueueName,
  limit: number,
  signal: AbortSignal,
): Promise<readonly DeadLetter[]> =>
  withDeadLetters(context.queues, queue, limit, signal, (messages) =>
    Promise.all(messages.map((message) => describe(context.database, queue, message))),
  )

/** Sends the chosen letters back to their queue. Returns how many. */
export const retryChosen = async (
  context: Clients,
  queue: QueueName,
  choice: LetterChoice,
  signal: AbortSignal,
): Promise<number> => retryDeadLetters(context.queues, queue, chooser(context, queue, choice), signal)

/** Removes the chosen letters for good. Returns how many. */
export const dismissChosen = async (
  context: Clients,
  queue: QueueName,
  choice: LetterChoice,
  signal: AbortSignal,
): Promise<number> => dismissDeadLetters(context.queues, queue, chooser(context, queue, choice), signal)

const chooser =
  ({ database }: Clients, queue: QueueName, choice: LetterChoice) =>
  async (message: QueuedMessage): Promise<boolean> =>
    typeof choice === 'object'
      ? choice.ids.includes(message.messageId)
      : (await workOf(database, queue, message.body)).isFinished === (choice === 'finished')

async function describe(
  database: Database,
  queue: QueueName,
  { messageId: id, sentAt, receiveCount, body }: QueuedMessage,
): Promise<DeadLetter> {
  return { queue, id, sentAt, receiveCount, body, ...(await workOf(database, queue, body)) }
}

type Work = Pick<DeadLetter, 'about' | 'state' | 'isFinished' | 'attempts' | 'lastError'>
type Row = Omit<Work, 'about'>
const NO_ROW: Row = { state: null, isFinished: false, attempts: null, lastError: null }

async function workOf(database: Database, queue: QueueName, body: string): Promise<Work> {
  if (queue === 'runs') return await workOfNotification(database, body)
  const about = request.safeParse(jsonOf(body)).data
  if (about === undefined) return { about: cutText(body, WORDS), ...NO_ROW }
  return { about: `${about.bucket}/${about.key}`, ...((await rowOf(database, queue, about)) ?? NO_ROW) }
}

/** A notification may be about several objects: one that is not finished is shown first. */
async function workOfNotification(database: Database, body: string): Promise<Work> {
  const { arrivals } = parseNotification(body)
  const rows = await Promise.all(
    arrivals.map(async (arrival) => ({
      about: `${arrival.bucket}/${arrival.key}`,
      ...((await arrivalRow(database, arrival)) ?? NO_ROW),
    })),
  )
  return rows.find((row) => !row.isFinished) ?? rows[0] ?? { about: cutText(body, WORDS), ...NO_ROW }
}

async function arrivalRow(database: Database, { bucket, key, etag }: ObjectArrival): Promise<Row | null> {
  const row = await database
    .selectFrom('arrivals')
    .select(['state', 'outcome', 'attempts', 'reason'])
    .where('bucket', '=', bucket)
    .where('objectKey', '=', key)
    .$if(etag !== null, (query) => query.where('etag', '=', etag ?? ''))
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (row === undefined) return null
  const { state, outcome, attempts, reason: lastError } = row
  return { state, isFinished: isFinished(row) || outcome === 'gone', attempts, lastError }
}

const request = z.looseObject({
  bucket: z.string(),
  key: z.string(),
  sha256: z.string().optional().catch(undefined),
  replicaId: z.int().optional().catch(undefined),
})
const FINISHED_RECALLS: readonly string[] = ['present', 'expired']

/** The tape copy or recall of a request. One that does not name its contents is never known to be finished. */
async function rowOf(
  database: Database,
  queue: QueueName,
  { bucket, key, sha256, replicaId }: z.infer<typeof request>,
): Promise<Row | null> {
  const table = queue === 'tape-requests' ? 'copies' : queue === 'recall-requests' ? 'shownRecalls' : null
  if (table === null) return null
  const row = await database
    .selectFrom(table)
    .select(['state', 'attempts', 'lastError'])
    .where('bucket', '=', bucket)
    .where('objectKey', '=', key)
    .$if(table === 'copies', (query) => query.where('kind', '=', 'tape'))
    .$if(sha256 !== undefined, (query) => query.where('sha256', '=', sha256 ?? ''))
    .$if(replicaId !== undefined, (query) => query.where('id', '=', replicaId ?? 0))
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (row === undefined) return null
  const isFinished =
    table === 'copies'
      ? sha256 !== undefined && VERIFIED.includes(row.state)
      : replicaId !== undefined && FINISHED_RECALLS.includes(row.state)
  return { ...row, isFinished }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
