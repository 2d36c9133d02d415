/** `cygnet reconcile`: list a bucket against the ledger and enqueue what is missing. */
import type { Command } from 'commander'
import { print, printJson, tell } from '../output.ts'
import { withContext } from '../settings.ts'

export function register(program: Command): void {
  program
    .command('reconcile')
    .description('list the raw buckets against the ledger and enqueue every run that is missing there')
    .option('--bucket <bucket>', 'only this bucket (all raw buckets of the configuration otherwise)')
    .option('--prefix <prefix>', 'only keys that begin so, e.g. LNGS/', '')
    .option(
      '--grace <seconds>',
      "leave objects younger than this to their own notification's arrival",
      Number,
      0,
    )
    .option('--resume', 'go on where an earlier reconciliation was interrupted')
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
            const result = await reconcile(
              context,
              {
                bucket,
                prefix: options.prefix,
                graceSeconds: options.grace,
                resume: options.resume === true,
                onProgress: ({ listed, announced }) =>
                  process.stderr.isTTY && tell(`${bucket}: ${listed} objects listed, ${announced} enqueued`),
              },
              signal,
            )
            if (options.json === true) printJson({ bucket, ...result })
            else
              print(
                `${bucket}/${options.prefix}: ${result.listed} objects, ${result.runs} of them runs, ${result.announced} were missing in the ledger and put into the queue${result.finished ? '' : ' (interrupted; --resume goes on from here)'}`,
              )
          }
        })
      },
    )
}
