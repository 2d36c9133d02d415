/** `cygnet reconcile`: compares the objects of a bucket with the ledger and enqueues the missing runs. */
import type { Command } from 'commander'
import { auditedCommand } from '../audited.ts'
import { print, printJson, printToStderr, time } from '../output.ts'
import { withContext } from '../settings.ts'

interface Progress {
  readonly listed: number
  readonly announced: number
}

export function register(program: Command): void {
  program
    .command('reconcile')
    .description('compare the raw buckets with the ledger and enqueue every run that is missing in it')
    .option('--bucket <bucket>', 'only this bucket (default: all raw buckets of the configuration)')
    .option('--prefix <prefix>', 'only keys with this prefix, e.g. LNGS/', '')
    .option(
      '--grace <seconds>',
      'ignore objects younger than this: their notifications may still arrive',
      Number,
      0,
    )
    .option('--resume', 'continue where an earlier reconciliation was interrupted')
    .option('--json', 'one JSON object a bucket')
    .action(
      async (options: {
        bucket?: string
        prefix: string
        grace: number
        resume?: boolean
        json?: boolean
      }) => {
        const { reconcile } = await import('../../shared/ingest/reconcile.ts')
        await withContext(['database', 'queues', 's3'], async (context, signal) => {
          for (const bucket of options.bucket === undefined
            ? context.config.store.rawBuckets
            : [options.bucket]) {
            const wanted = {
              bucket,
              prefix: options.prefix,
              graceSeconds: options.grace,
              resume: options.resume === true,
              onProgress: ({ listed, announced }: Progress) =>
                process.stderr.isTTY &&
                printToStderr(`${bucket}: ${listed} objects listed, ${announced} enqueued`),
            }
            const result = await auditedCommand(
              context,
              'operate',
              `reconcile ${bucket}/${options.prefix}`,
              () => reconcile(context, wanted, signal),
              ({ announced, finished }) => `${announced} enqueued${finished ? '' : ', interrupted'}`,
            )
            if (options.json === true) printJson({ bucket, ...result })
            else {
              print(
                `${bucket}/${options.prefix}: ${result.listed} objects, ${result.runs} of them runs, ${result.announced} were missing in the ledger and enqueued${result.finished ? '' : ' (interrupted; --resume continues from here)'}`,
              )
              if (result.history > 0) print(`${result.history} of them are history: read after all others`)
              for (const held of result.held)
                print(
                  `${held.tag === '' ? 'without a tag' : held.tag}: ${held.objects} unknown objects from ${time(held.oldest)} to ${time(held.newest)} wait for a take-over time: ${held.command}`,
                )
            }
          }
        })
      },
    )
}
