/** `cygnet dead`: dead letters, and notifications of unknown format. */
import { Argument, type Command } from 'commander'
import { listParked } from '../../shared/catalogue/parked.ts'
import type { Context } from '../../shared/context.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { parseNotification } from '../../shared/notifications/parse.ts'
import { retryDeadLetters, withDeadLetters } from '../../shared/queue/dead-letters.ts'
import { QUEUES, type QueuedMessage, type QueueName } from '../../shared/queue/queues.ts'
import { cutText } from '../../shared/text.ts'
import { print, printJson, table, time } from '../output.ts'
import { withContext } from '../settings.ts'

const MOST_SHOWN = 500
const SHORT_ID = 8

const queueArgument = () => new Argument('[queue]', 'the queue they died on').choices(QUEUES).default('runs')

export function register(program: Command): void {
  const dead = program
    .command('dead')
    .description('messages that failed too often, and notifications of unknown format')
  dead
    .command('ls')
    .description('list dead letters with the last error in the ledger')
    .addArgument(queueArgument())
    .option('--json', 'one JSON object a line')
    .action(async (queue: QueueName, options: { json?: boolean }) => {
      await withContext(['database', 'queues'], async (context, signal) => {
        const rows = await withDeadLetters(context.queues, queue, MOST_SHOWN, signal, (messages) =>
          Promise.all(messages.map((message) => describe(context, message))),
        )
        const parked = queue === 'runs' ? await listParked(context.database, MOST_SHOWN) : []
        if (options.json === true) {
          for (const row of rows) print(JSON.stringify(row))
          for (const row of parked)
            print(
              JSON.stringify({
                parked: row.id,
                receivedAt: row.receivedAt,
                reason: row.reason,
                times: row.times,
              }),
            )
          return
        }
        print(
          rows.length === 0
            ? `no dead letters on ${queue}`
            : table(
                ['id', 'sent (UTC)', 'deliveries', 'about', 'last error'],
                rows.map((row) => [
                  row.id.slice(0, SHORT_ID),
                  time(row.sentAt),
                  row.receiveCount,
                  row.about,
                  row.lastError,
                ]),
              ),
        )
        if (parked.length > 0)
          print(
            `\nnotifications kept because their format is unknown\n${table(
              ['id', 'received (UTC)', 'times', 'reason'],
              parked.map((row) => [`p${row.id}`, time(row.receivedAt), row.times, row.reason]),
            )}`,
          )
      })
    })
  dead
    .command('show')
    .description('print one dead letter or parked notification in full')
    .argument('<id>', 'its id, or the first characters of it, as printed by `dead ls`')
    .addArgument(queueArgument())
    .action(async (id: string, queue: QueueName) => {
      await withContext(['database', 'queues'], async (context, signal) => {
        if (/^p\d+$/.test(id)) return print(await parkedBody(context, Number(id.slice(1))))
        await withDeadLetters(context.queues, queue, MOST_SHOWN, signal, async (messages) => {
          const message = messages.find((candidate) => candidate.messageId.startsWith(id))
          if (message === undefined) throw new InvalidInputError(`there is no dead letter ${id} on ${queue}`)
          printJson({ ...(await describe(context, message)), body: parsedOr(message.body) })
        })
      })
    })
  dead
    .command('retry')
    .description('send dead letters back to their queue')
    .argument('[ids...]', 'their ids, or the first characters of them')
    .option('--queue <queue>', 'the queue they died on', 'runs')
    .option('--all', 'all of them')
    .option('--yes', 'do it; without it the command only prints what would be done')
    .action(async (ids: string[], options: { queue: string; all?: boolean; yes?: boolean }) => {
      const queue = QUEUES.find((name) => name === options.queue)
      if (queue === undefined)
        throw new InvalidInputError(`there is no queue ${options.queue}; there are ${QUEUES.join(', ')}`)
      await retryDead(queue, ids, { all: options.all === true, yes: options.yes === true })
    })
}

export async function retryDead(
  queue: QueueName,
  ids: readonly string[],
  options: { readonly all: boolean; readonly yes: boolean },
): Promise<void> {
  if (ids.length === 0 && !options.all) throw new InvalidInputError('give the ids, or --all')
  const chosen = (message: QueuedMessage) => options.all || ids.some((id) => message.messageId.startsWith(id))
  await withContext(['database', 'queues'], async (context, signal) => {
    if (!options.yes) {
      const count = await withDeadLetters(
        context.queues,
        queue,
        MOST_SHOWN,
        signal,
        async (messages) => messages.filter(chosen).length,
      )
      return print(`${count} dead letters of ${queue} would be sent back; nothing was done: add --yes`)
    }
    const sent = await retryDeadLetters(context.queues, queue, chosen, signal)
    print(`${sent.length} dead letters were sent back to ${queue}`)
  })
}

async function describe(context: Context<'database'>, message: QueuedMessage) {
  const arrival = parseNotification(message.body).arrivals[0]
  const known =
    arrival === undefined
      ? undefined
      : await context.database
          .selectFrom('arrivals')
          .select(['state', 'reason', 'attempts'])
          .where('bucket', '=', arrival.bucket)
          .where('objectKey', '=', arrival.key)
          .orderBy('id', 'desc')
          .limit(1)
          .executeTakeFirst()
  return {
    id: message.messageId,
    sentAt: message.sentAt,
    receiveCount: message.receiveCount,
    about: arrival === undefined ? cutText(message.body, 60) : `${arrival.bucket}/${arrival.key}`,
    state: known?.state ?? null,
    lastError: known?.reason ?? null,
  }
}

async function parkedBody(context: Context<'database'>, id: number): Promise<string> {
  const row = await context.database
    .selectFrom('parkedNotifications')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirst()
  if (row === undefined) throw new InvalidInputError(`there is no parked notification p${id}`)
  return JSON.stringify(
    { id, receivedAt: row.receivedAt, times: row.times, reason: row.reason, body: parsedOr(row.body) },
    null,
    2,
  )
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
