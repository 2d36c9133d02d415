/** `cygnet replay`: extracts runs again. */

import type { Command } from 'commander'
import { InvalidInputError } from '../../shared/errors.ts'
import type { ReplaySelection } from '../../shared/ingest/replay.ts'
import { PAST_TIME, type PastTime, parsePastTime, parseRunNumber } from '../arguments.ts'
import { auditedCommand } from '../audited.ts'
import { bytes, print, printJson, table, time } from '../output.ts'
import { withContext } from '../settings.ts'

interface Options {
  readonly run?: number
  readonly tag?: string
  readonly key?: string
  readonly prefix?: string
  readonly since?: PastTime
  readonly dead?: boolean
  readonly bucket: string
  readonly yes?: boolean
  readonly json?: boolean
}

export function register(program: Command): void {
  program
    .command('replay')
    .description('read objects again and update the catalogue; shows a plan, --yes carries it out')
    .option('--run <number>', 'all files of a run', parseRunNumber)
    .option('--tag <tag>', 'with --run: only of this tag')
    .option('--key <key>', 'one object, e.g. LNGS/run12345.mid.gz')
    .option('--prefix <prefix>', 'every run below a prefix, catalogued or not, e.g. LNGS/')
    .option('--since <time>', `everything that arrived since this time: ${PAST_TIME}`, parsePastTime)
    .option('--dead', 'the dead letters of the runs queue')
    .option('--bucket <bucket>', 'with --key and --prefix', 'cygno-data')
    .option('--yes', 'do it')
    .option('--json', 'the plan as one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  cygnet replay --run 12345\n  cygnet replay --since 6h --yes\nReplaying is safe: the same file gives the same rows again.',
    )
    .action(async (options: Options) => {
      if (options.dead === true)
        return await (await import('./dead.ts')).retryDead('runs', 'unfinished', options.yes === true)
      const selection = selectionOf(options)
      const { planReplay, replay } = await import('../../shared/ingest/replay.ts')
      await withContext(['database', 'queues', 's3'], async (context, signal) => {
        const plan = await planReplay(context, selection(context.now()), signal)
        if (options.json === true) printJson(plan)
        else {
          print(
            plan.objects.length === 0
              ? 'nothing to replay'
              : table(
                  ['object', 'size', 'stored (UTC)'],
                  plan.objects.map((o) => [`${o.bucket}/${o.key}`, bytes(o.sizeBytes), time(o.lastModified)]),
                ),
          )
          for (const object of plan.gone) print(`deleted from the store: ${object.bucket}/${object.key}`)
        }
        if (options.yes === true) {
          const objects = plan.objects.map(({ bucket, key }) => `${bucket}/${key}`).join(', ')
          await auditedCommand(context, 'replay', objects, () => replay(context, plan, signal))
        }
        if (options.json === true) return
        if (options.yes === true)
          print(`${plan.objects.length} objects were enqueued; \`cygnet logs --follow\` shows their progress`)
        else if (plan.objects.length > 0)
          print(`\n${plan.objects.length} objects; nothing was done: add --yes`)
      })
    })
}

/** The selection of the options, once the time is known that `--since 6h` counts back from. */
function selectionOf(options: Options): (now: Date) => ReplaySelection {
  const { since } = options
  const given: ((now: Date) => ReplaySelection)[] = []
  const add = (selection: ReplaySelection) => given.push(() => selection)
  if (options.run !== undefined) add({ by: 'run', runNumber: options.run, tag: options.tag ?? null })
  if (options.key !== undefined) add({ by: 'key', bucket: options.bucket, key: options.key })
  if (options.prefix !== undefined) add({ by: 'prefix', bucket: options.bucket, prefix: options.prefix })
  if (since !== undefined) given.push((now) => ({ by: 'since', since: since(now) }))
  const [selection, ...more] = given
  if (selection === undefined || more.length > 0)
    throw new InvalidInputError('give exactly one of --run, --key, --prefix, --since, --dead')
  return selection
}
