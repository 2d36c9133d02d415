/** The work of the stories: functions of the project, called as their hosts call them. */
import type { SQSEvent } from 'aws-lambda'
import { createHandler as createExtractMetadata } from '../../functions/extract-metadata/handler.ts'
import { createHandler as createRecallRun } from '../../functions/recall-run/handler.ts'
import { createHandler as createRequestTapeCopy } from '../../functions/request-tape-copy/handler.ts'
import { createHandler as createTrackArrivals } from '../../functions/track-arrivals/handler.ts'
import { cleanRuns } from '../../shared/copies/clean/clean-runs.ts'
import { deleteCloudCopy, settleDeletion } from '../../shared/copies/delete/delete-cloud-copy.ts'
import { noteLocalCopy, noteVanishedCopy } from '../../shared/copies/delete/local-copies.ts'
import { requestRecall } from '../../shared/copies/recall/request.ts'
import { sweepCopies } from '../../shared/copies/tape/sweep-copies.ts'
import { followCopies } from '../../shared/copies/tape/tape-copy.ts'
import { findDark } from '../../shared/copies/verify/dark/dark.ts'
import { scrub } from '../../shared/copies/verify/scrub.ts'
import { verifyReplica } from '../../shared/copies/verify/verify.ts'
import type { Replica } from '../../shared/database/replica-schema.ts'
import { reconcile } from '../../shared/ingest/reconcile.ts'
import { createLogger } from '../../shared/log.ts'
import { scheduledEvent } from '../../shared/runtime/schedule.ts'
import { advanceRecalls } from '../support/advance-recalls.ts'
import { copyNext } from '../support/tape-copies.ts'
import type { Work } from './actions.ts'
import { KEYS } from './contents.ts'
import { removeFile, reportUnreported } from './daq.ts'
import { HOST } from './disk.ts'
import type { Message } from './queues.ts'
import type { FunctionInput, World } from './world.ts'

const log = createLogger({ function: 'test', level: 'silent' })

/** Passes a message to the function that consumes its queue. @returns whether it may be deleted. */
export async function handle({ context, signal }: FunctionInput, { queue, body }: Message): Promise<boolean> {
  const event = { Records: [{ messageId: 'message', body }] } as SQSEvent
  const { batchItemFailures } = await HANDLERS[queue](context)(event, { signal, log })
  return batchItemFailures.length === 0
}

const HANDLERS = {
  runs: createExtractMetadata,
  'tape-requests': createRequestTapeCopy,
  'recall-requests': createRecallRun,
}

const NO_WAIT = { secondCheckMs: 0 }

/** Chooses the subject of the work now, before the call: it may have changed when the call begins. */
export async function functionFor(
  world: World,
  work: Exclude<Work, { do: 'deliver' }>,
): Promise<(input: FunctionInput) => Promise<unknown>> {
  switch (work.do) {
    case 'copy':
      return ({ context, signal }) => copyNext(context, signal, log)
    case 'follow':
      return ({ context, signal }) => followCopies(context, signal, log)
    case 'sweep':
      return ({ context, signal }) => sweepCopies(context, signal)
    case 'scrub':
      return ({ context, signal }) => scrub(context, NO_WAIT, signal, log)
    case 'find dark':
      return async ({ context, signal }) => {
        await findDark(context, { bucket: context.config.store.rawBuckets[0] ?? '' }, NO_WAIT, signal, log)
        await findDark(context, { tape: true }, NO_WAIT, signal, log)
      }
    case 'advance recalls':
      return ({ context, signal }) => advanceRecalls(context, signal, log)
    case 'track arrivals':
      return ({ context, signal }) =>
        createTrackArrivals(context)(scheduledEvent('track-arrivals', context.now()), { signal, log })
    case 'reconcile':
      return ({ context, signal }) =>
        reconcile(context, { bucket: world.bucket, prefix: '', graceSeconds: 120, resume: true }, signal)
    case 'clean':
      return ({ context, signal }) => cleanRuns(context, { dryRun: false, now: context.now() }, signal, log)
    case 'verify': {
      const replica = await chosen(world, work.which)
      return async ({ context, signal }) =>
        replica && verifyReplica(context, replica.id, { readBack: work.readBack, ...NO_WAIT }, signal, log)
    }
    case 'delete':
    case 'settle': {
      const replica = await chosen(world, work.which, 'cloud')
      return async ({ context, signal }) =>
        replica &&
        (work.do === 'delete'
          ? deleteCloudCopy(context, replica, 'a test', signal, { minAgeMs: 0 })
          : settleDeletion(context, replica, signal))
    }
    case 'report file': {
      const copy = world.disk.find(KEYS[work.key] ?? '')
      return async ({ context }) => copy && noteLocalCopy(context, copy)
    }
    case 'remove file': {
      const copy = world.disk.find(KEYS[work.key] ?? '')
      return async (input) => copy && removeFile(world, copy)(input)
    }
    case 'report missing file':
      return ({ context }) => reportMissingFiles(world, context, KEYS[work.key] ?? '')
    case 'start push':
      return reportUnreported(world)
    case 'request recall': {
      const [tag = '', file = ''] = (KEYS[work.key] ?? '').split('/')
      const request = { days: work.days, requestedBy: 'a test' }
      return ({ context, signal }) =>
        requestRecall(context, { runNumber: Number(file.slice(3, 8)), tag }, request, context.now(), signal)
    }
  }
}

/** Reports files that were reported before and are no longer on the disk. */
async function reportMissingFiles(
  { disk }: World,
  context: FunctionInput['context'],
  key: string,
): Promise<void> {
  const rows = await context.database
    .selectFrom('copies')
    .selectAll()
    .where('kind', '=', 'local')
    .where('objectKey', '=', key)
    .execute()
  for (const { bucket, name: path, sha256, sizeBytes } of rows)
    if (disk.find(key)?.sha256 !== sha256)
      await noteVanishedCopy(context, { bucket, key, host: HOST, path, sha256, sizeBytes })
}

async function chosen(world: World, which: number, kind?: 'cloud'): Promise<Replica | undefined> {
  const rows = await world.context.database
    .selectFrom('copies')
    .selectAll()
    .$if(kind !== undefined, (query) =>
      query.where('kind', '=', 'cloud').where('state', 'in', ['present', 'deleting']),
    )
    .orderBy('id')
    .execute()
  return rows[which % Math.max(1, rows.length)]
}
