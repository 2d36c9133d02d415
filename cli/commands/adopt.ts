/** `cygnet adopt`: the take-over times of tags, and adopting what is older. */

import type { Command } from 'commander'
import type { TakeOver } from '../../shared/catalogue/take-over.ts'
import type { Context } from '../../shared/context.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { differenceText } from '../../shared/time/text.ts'
import { type PastTime, parsePastTime, parseTag } from '../arguments.ts'
import { auditedCommand } from '../audited.ts'
import { isConfirmed } from '../confirm.ts'
import { print, printJson, printToStderr, table, time } from '../output.ts'
import { withContext } from '../settings.ts'

interface Options {
  readonly tag?: string
  readonly since?: PastTime
  readonly history?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  cygnet adopt                                 the take-over times, and how far the history is
  cygnet adopt --tag LNGS --since 2026-11-01   runs stored from then on are new, older ones history
  cygnet adopt --tag LNGS --since now          all that is in the buckets is history, missed runs as well
  cygnet adopt --tag '*' --since now           for every tag without a time of its own
  cygnet adopt --tag LNGS --history            copy the history to tape and reconstruct it, too

History is catalogued after all new runs. No copy on tape and no reconstruction of it is requested, and nobody is alerted
about single files. A time may be set again: files that an earlier time makes new are treated as such.`

export function register(program: Command): void {
  program
    .command('adopt')
    .description('set from when on the runs of a tag are new; what the store had before is history')
    .option('--tag <tag>', "the tag; '*' for every tag without a time of its own", parseAnyTag)
    .option(
      '--since <time>',
      'the take-over time: now, a time such as 2026-11-22T08:00Z, or one before now such as 6h',
      parseTakeOver,
    )
    .option('--history', 'adopt all history of the tag: from now on it is treated as new')
    .option('--yes', 'do it without asking')
    .option('--json', 'one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => {
      await withContext(['database', 's3'], async (context, signal) => {
        if (options.tag === undefined) await listAll(context, options)
        else await adopt(context, options.tag, options, signal)
      })
    })
}

const parseAnyTag = (text: string): string => (text === '*' ? text : parseTag(text))

const parseTakeOver = (text: string): PastTime => (text === 'now' ? (now) => now : parsePastTime(text))

async function listAll({ database }: Context<'database'>, options: Options): Promise<void> {
  if (options.since !== undefined || options.history === true)
    throw new InvalidInputError('name the tag: --tag TAG')
  const { historyByTag, listTakeOvers } = await import('../../shared/catalogue/take-over.ts')
  const [takeOvers, history] = [await listTakeOvers(database), await historyByTag(database)]
  if (options.json === true) {
    printJson({ takeOvers, history })
    return
  }
  if (takeOvers.length === 0) {
    print('no tag has a take-over time')
    return
  }
  print(
    table(
      ['tag', 'taken over from (UTC)', 'set (UTC)'],
      takeOvers.map((takeOver) => [takeOver.tag, fromText(takeOver), time(takeOver.setAt)]),
    ),
  )
  if (history.length === 0) return
  print(
    `\n${table(
      ['history of', 'objects', 'to be read', 'invalid', 'failed'],
      history.map((of) => [of.tag, of.objects, of.waiting, of.invalid, of.failed]),
    )}`,
  )
}

/**
 * Objects are dated by the store. If its clock is behind, new runs have dates before the given time: an earlier
 * one is set, so that none of them is history.
 */
async function inStoreTime(
  { s3, config, now }: Context<'s3'>,
  given: Date,
  signal: AbortSignal,
): Promise<Date> {
  const { storeClockDifference } = await import('../../shared/storage/store-clock.ts')
  const differences = await Promise.all(
    config.store.rawBuckets.map((bucket) => storeClockDifference(s3, bucket, now, signal)),
  )
  const behindMs = Math.min(0, ...differences)
  if (behindMs === 0 || given.getTime() === 0) return given
  const since = new Date(given.getTime() + behindMs)
  printToStderr(
    `the store's clock is ${differenceText(behindMs)} the database's: its objects of ${time(given)} are dated ${time(since)}, which is set`,
  )
  return since
}

const fromText = ({ since }: Pick<TakeOver, 'since'>) =>
  since.getTime() === 0 ? 'the beginning' : time(since)

async function adopt(
  context: Context<'database' | 's3'>,
  tag: string,
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  const { FROM_THE_BEGINNING, setTakeOver } = await import('../../shared/catalogue/take-over.ts')
  const { planAdoption, releaseHistory } = await import('../../shared/ingest/adopt.ts')
  const now = context.now()
  const given = options.history === true ? FROM_THE_BEGINNING : options.since?.(now)
  if (given === undefined || (options.history === true && options.since !== undefined))
    throw new InvalidInputError('give either --since TIME or --history')
  if (given > now)
    throw new InvalidInputError('--since must not be in the future: new runs would be history until then')
  const since = await inStoreTime(context, given, signal)
  const plan = await planAdoption(context, tag, since, signal)
  if (options.json === true) printJson({ tag, since, ...plan })
  else {
    print(
      table(
        [`objects of ${tag}`, 'in the ledger', 'unknown'],
        [
          [`before ${fromText({ since })}: history`, plan.before.known, plan.before.unknown],
          [`from ${fromText({ since })} on: new`, plan.after.known, plan.after.unknown],
        ],
      ),
    )
    if (plan.adopted > 0)
      print(`${plan.adopted} files of the history are adopted: copies on tape and reconstruction follow`)
  }
  if (options.yes !== true && !(await isConfirmed())) {
    if (options.json !== true) print('nothing was done: add --yes')
    return
  }
  const object = `adopt ${tag} from ${fromText({ since })}`
  const { adopted, failed } = await auditedCommand(context, 'operate', object, async () => {
    await setTakeOver(context.database, tag, since, { at: context.now() })
    return await releaseHistory(
      context,
      signal,
      (runs) => process.stderr.isTTY && runs % 1000 === 0 && printToStderr(`${runs} runs adopted`),
    )
  })
  if (failed > 0) printToStderr(`${failed} runs could not be adopted: \`reconcile\` tries them again`)
  if (options.json !== true)
    print(
      `${tag} is taken over from ${fromText({ since })}; ${adopted} runs of its history were adopted. \`reconcile\` catalogues what is unknown.`,
    )
}
