/** `cygnet dead`: dead letters, and notifications of unknown format. */

import { Argument, type Command, Option } from 'commander'
import { listParked } from '../../shared/catalogue/parked.ts'
import type { Context } from '../../shared/context.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import {
  type DeadLetter,
  dismissChosen,
  readDeadLetters,
  retryChosen,
} from '../../shared/queries/dead-letters.ts'
import { QUEUES, type QueueName } from '../../shared/queue/queues.ts'
import { auditedCommand } from '../audited.ts'
import { print, printJson, table, time } from '../output.ts'
import { withContext } from '../settings.ts'

const MOST_SHOWN = 500
const SHORT_ID = 8

const ALL_QUEUES = 'default: all'
const queueArgument = () => new Argument('[queue]', `the queue they died on (${ALL_QUEUES})`).choices(QUEUES)
const queueOption = () =>
  new Option('--queue <queue>', `the queue they died on (${ALL_QUEUES})`).choices(QUEUES)

export function register(program: Command): void {
  const dead = program
    .command('dead')
    .description('messages that failed too often, and notifications of unknown format')
  dead
    .command('ls')
    .description('list dead letters with the state of their work and its last error in the catalogue')
    .addArgument(queueArgument())
    .option('--json', 'one JSON object a line')
    .action(async (queue: QueueName | undefined, options: { json?: boolean }) => {
      await withContext(['database', 'queues'], async (context, signal) => {
        const letters = await readAll(context, queue, signal)
        const parked =
          queue === undefined || queue === 'runs' ? await listParked(context.database, MOST_SHOWN) : []
        if (options.json === true) printAsJson(letters, parked)
        else printAsText(letters, parked, queue)
      })
    })
  dead
    .command('show')
    .description('print one dead letter or parked notification in full')
    .argument('<id>', 'its id, or the first characters of it, as printed by `dead ls`')
    .addArgument(queueArgument())
    .action(async (id: string, queue: QueueName | undefined) => {
      await withContext(['database', 'queues'], async (context, signal) => {
        if (/^p\d{1,15}$/.test(id)) return print(await parkedBody(context, Number(id.slice(1))))
        const letter = (await readAll(context, queue, signal)).find((candidate) =>
          candidate.id.startsWith(id),
        )
        if (letter === undefined)
          throw new InvalidInputError(
            `there is no dead letter ${id}${queue === undefined ? '' : ` on ${queue}`}`,
          )
        printJson({ ...jsonOf(letter), body: parsedOr(letter.body) })
      })
    })
  dead
    .command('retry')
    .description('send dead letters back to their queue')
    .argument('[ids...]', 'their ids, or the first characters of them')
    .addOption(queueOption())
    .option('--all', 'all of them, except those whose work is finished')
    .option('--yes', 'do it; without it the command only prints what would be done')
    .action(async (ids: string[], options: { queue?: QueueName; all?: boolean; yes?: boolean }) => {
      if (ids.length === 0 && options.all !== true) throw new InvalidInputError('give the ids, or --all')
      await retryDead(options.queue, options.all === true ? 'unfinished' : ids, options.yes === true)
    })
  dead
    .command('dismiss')
    .description('remove dead letters for good; the rows of the catalogue are not changed')
    .argument('[ids...]', 'their ids, or the first characters of them')
    .addOption(queueOption())
    .option('--finished', 'all whose work is finished')
    .option('--yes', 'do it; without it the command only prints what would be done')
    .action(async (ids: string[], options: { queue?: QueueName; finished?: boolean; yes?: boolean }) => {
      if (ids.length === 0 && options.finished !== true)
        throw new InvalidInputError('give the ids, or --finished')
      const choice = options.finished === true ? 'finished' : ids
      await act(options.queue, choice, options.yes === true, dismissChosen, 'dismissed')
    })
}

/** Sends dead letters of one queue, or of all, back: those whose ids begin so, or all that are not finished. */
export const retryDead = (
  queue: QueueName | undefined,
  choice: readonly string[] | 'unfinished',
  yes: boolean,
): Promise<void> => act(queue, choice, yes, retryChosen, 'sent back')

async function act(
  queue: QueueName | undefined,
  choice: readonly string[] | 'finished' | 'unfinished',
  yes: boolean,
  how: typeof retryChosen,
  done: string,
): Promise<void> {
  await withContext(['database', 'queues'], async (context, signal) => {
    const recorded = (name: QueueName, letters: string, work: () => Promise<number>) =>
      auditedCommand(
        context,
        'replay',
        `dead letters ${done} on ${name}: ${letters}`,
        work,
        (count) => `${count} ${done}`,
      )
    if (yes && typeof choice === 'string') {
      let count = 0
      for (const name of namedOrAll(queue))
        count += await recorded(name, `all ${choice}`, () => how(context, name, choice, signal))
      return print(`${count} dead letters were ${done}`)
    }
    const chosen = (await readAll(context, queue, signal)).filter(({ id, isFinished }) =>
      typeof choice === 'string'
        ? isFinished === (choice === 'finished')
        : choice.some((beginning) => id.startsWith(beginning)),
    )
    if (!yes) {
      if (chosen.length > 0) print(lettersTable(chosen))
      return print(`${chosen.length} dead letters would be ${done}; nothing was done: add --yes`)
    }
    let count = 0
    for (const [name, letters] of Map.groupBy(chosen, (letter) => letter.queue))
      count += await recorded(name, letters.map(({ id }) => id).join(', '), () =>
        how(context, name, { ids: letters.map(({ id }) => id) }, signal),
      )
    print(`${count} dead letters were ${done}`)
  })
}

const namedOrAll = (queue: QueueName | undefined): readonly QueueName[] =>
  queue === undefined ? QUEUES : [queue]

/** Up to 500 letters of each queue. */
async function readAll(
  context: Context<'database' | 'queues'>,
  queue: QueueName | undefined,
  signal: AbortSignal,
): Promise<readonly DeadLetter[]> {
  const letters = namedOrAll(queue).map((name) => readDeadLetters(context, name, MOST_SHOWN, signal))
  return (await Promise.all(letters)).flat()
}

type Parked = Awaited<ReturnType<typeof listParked>>

function printAsText(letters: readonly DeadLetter[], parked: Parked, queue: QueueName | undefined): void {
  print(
    letters.length === 0
      ? `no dead letters${queue === undefined ? '' : ` on ${queue}`}`
      : lettersTable(letters),
  )
  if (parked.length > 0)
    print(
      `\nnotifications kept because their format is unknown\n${table(
        ['id', 'received (UTC)', 'times', 'reason'],
        parked.map((row) => [`p${row.id}`, time(row.receivedAt), row.times, row.reason]),
      )}`,
    )
}

const lettersTable = (letters: readonly DeadLetter[]): string =>
  table(
    ['id', 'queue', 'sent (UTC)', 'deliveries', 'about', 'state', 'last error'],
    letters.map((letter) => [
      letter.id.slice(0, SHORT_ID),
      letter.queue,
      time(letter.sentAt),
      letter.receiveCount,
      letter.about,
      letter.state,
      letter.isFinished
        ? `finished${letter.lastError === null ? '' : `: ${letter.lastError}`}`
        : letter.lastError,
    ]),
  )

function printAsJson(letters: readonly DeadLetter[], parked: Parked): void {
  for (const letter of letters) print(JSON.stringify(jsonOf(letter)))
  for (const { id, receivedAt, reason, times } of parked)
    print(JSON.stringify({ parked: id, receivedAt, reason, times }))
}

const jsonOf = ({ body: _, isFinished: finished, ...letter }: DeadLetter) => ({ ...letter, finished })

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
