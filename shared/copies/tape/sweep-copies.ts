/**
 * Compares the catalogue with the requests for copies on tape: every file of a run gets its request, whether
 * or not a message asked for it; a copy that is missing or suspicious is replaced; a late one raises an
 * alert.
 */
import type { ExpressionBuilder } from 'kysely'
import { IN_WORK_ON_TAPE } from '../../catalogue/replica-states.ts'
import {
  type Content,
  contentOf,
  contentOfFile,
  lockRunOfReplica,
  refreshStorage,
  requestTapeReplica,
  TAPE_COPY,
  tapeCopyTask,
} from '../../catalogue/replicas.ts'
import { addHistory } from '../../catalogue/runs.ts'
import { inTransaction } from '../../database/connect.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { RunFile, Schema } from '../../database/schema.ts'
import { InvalidInputError } from '../../errors.ts'
import { alternateTapeName, tapeName } from '../../tape/names.ts'
import { isFree } from '../../work/lease.ts'
import { addRequests } from '../../work/outbox.ts'
import { alert } from '../../work/raise-alert.ts'
import { sendRequests } from '../../work/send-requests.ts'
import { followTask, purgeTasks, restartTask } from '../../work/tasks.ts'
import { alertLateCopies } from './late-copies.ts'
import type { WithTape } from './tape-copy.ts'

const PAGE = 500
/** Time in which the file's own message may request the copy; after it the message is lost, or waits behind many. */
const GRACE_MS = 30_000

export interface Swept {
  /** Files without a request for a copy. */
  readonly requested: number
  /** Copies that are missing or suspicious and are made again. */
  readonly renewed: number
  /** Copies whose task was missing. */
  readonly resumed: number
  /** Copies that are late and raise an alert now. */
  readonly late: number
}

export async function sweepCopies(context: WithTape, signal: AbortSignal): Promise<Swept> {
  const { keptDays } = context.config.work
  await purgeTasks(context.database, new Date(context.now().getTime() - keptDays * 86_400_000))
  return {
    requested: await requestMissing(context, 0, signal),
    renewed: await renewBadCopies(context, signal),
    resumed: await resumeWithoutTask(context, signal),
    late: await alertLateCopies(context, signal),
  }
}

export interface CopyRequest {
  readonly priority: 'live' | 'backlog'
  readonly requestedBy: string
  /** Under the alternate name, because a suspicious copy has the first one. */
  readonly alternateName?: boolean
}

const LONGEST_URL = 2048

/**
 * Requests a copy of a file's contents at the configured endpoint.
 * @throws InvalidInputError when no endpoint can hold a file of its name.
 */
export async function requestCopy(
  context: WithTape,
  content: Content,
  request: CopyRequest,
): Promise<Replica> {
  const object = { bucket: content.bucket, key: content.key }
  const name = request.alternateName === true ? alternateTapeName(object, content.sha256) : tapeName(object)
  const { endpoint } = context.tape
  const url = context.tape.url(name)
  if (url.length > LONGEST_URL)
    throw new InvalidInputError(`the address of a copy of ${content.key} is too long for the catalogue`)
  // The variant is hashed into the row's identity, so this word must not change.
  const place = { endpoint, name, url, ...(request.alternateName === true ? { variant: 'beside' } : {}) }
  return await requestTapeReplica(
    context.database,
    content,
    {
      ...place,
      priority: request.priority,
      requestedBy: request.requestedBy,
    },
    context.now(),
  )
}

/**
 * Requests the copies of the files that were catalogued after one, and that no message has requested.
 * @param seen the id of that file. @returns the id to go on from.
 */
export async function requestNew(
  context: WithTape,
  seen: number,
  signal: AbortSignal,
): Promise<{ readonly requested: number; readonly seen: number }> {
  const newest = await context.database
    .selectFrom('runFiles')
    .select('id')
    .where('cataloguedAt', '<', graceEnd(context))
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  const requested = await requestMissing(context, seen, signal)
  return { requested, seen: signal.aborted ? seen : (newest?.id ?? 0) }
}

const graceEnd = ({ now }: Pick<WithTape, 'now'>) => new Date(now().getTime() - GRACE_MS)

async function requestMissing(context: WithTape, seen: number, signal: AbortSignal): Promise<number> {
  const { database, tape } = context
  let requested = 0
  let after = seen
  while (!signal.aborted) {
    const page = await database
      .selectFrom('runFiles')
      .innerJoin('runs', 'runs.id', 'runFiles.runId')
      .leftJoin('replicas', (join) =>
        join
          .onRef('replicas.bucket', '=', 'runFiles.bucket')
          .onRef('replicas.objectKey', '=', 'runFiles.objectKey')
          .onRef('replicas.sha256', '=', 'runFiles.sha256')
          .on('replicas.kind', '=', 'tape')
          .on('replicas.endpoint', '=', tape.endpoint),
      )
      .selectAll('runFiles')
      .select(['runs.tag', 'runs.runNumber'])
      .where('runFiles.isLive', '=', true)
      .where('runs.isHistory', '=', false)
      .where('runFiles.integrity', '!=', 'mismatch')
      .where('runFiles.cataloguedAt', '<', graceEnd(context))
      .where('runFiles.id', '>', after)
      .where('replicas.id', 'is', null)
      .where((where) => where.or([where('runFiles.counts', '=', true), where.not(hasSafeContents(where))]))
      .orderBy('runFiles.id')
      .limit(PAGE)
      .execute()
    for (const { tag, runNumber, ...file } of page) {
      const content = contentOfFile(file as RunFile, { tag, runNumber })
      const copy = await requestOrAlert(
        context,
        content,
        { priority: 'backlog', requestedBy: 'sweep' },
        signal,
      )
      requested += copy === null ? 0 : 1
    }
    after = page.at(-1)?.id ?? after
    if (page.length < PAGE) break
  }
  return requested
}

/**
 * Whether the contents of a file that does not count are safe under another name of the run: verified on tape,
 * or in the store, from where they are copied. Otherwise its bytes may be the only ones.
 */
const hasSafeContents = ({ exists, selectFrom }: ExpressionBuilder<Schema, 'runFiles'>) =>
  exists(
    selectFrom('replicas as other')
      .innerJoin('runFiles as file', (join) =>
        join
          .onRef('file.runId', '=', 'other.runId')
          .onRef('file.bucket', '=', 'other.bucket')
          .onRef('file.objectKey', '=', 'other.objectKey')
          .onRef('file.sha256', '=', 'other.sha256')
          .on('file.isLive', '=', true)
          .on('file.counts', '=', true),
      )
      .select('other.id')
      .whereRef('other.runId', '=', 'runFiles.runId')
      .whereRef('other.sha256', '=', 'runFiles.sha256')
      .where((where) =>
        where.or([
          where.and([where('other.kind', '=', 'cloud'), where('other.state', '=', 'present')]),
          where.and([where('other.kind', '=', 'tape'), where('other.state', '=', 'on-media')]),
        ]),
      ),
  )

/** The requested copy; null when none is possible, which raises an alert and does not stop the other requests. */
async function requestOrAlert(
  context: WithTape,
  content: Content,
  request: CopyRequest,
  signal: AbortSignal,
): Promise<Replica | null> {
  try {
    return await requestCopy(context, content, request)
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    const { run, bucket, key, sha256 } = content
    const impossible = alert({
      rule: 'tape-copy-impossible',
      severity: 'error',
      subject: context.tape.endpoint,
      summary: `${key} (run ${run.runNumber} of ${run.tag}) can have no copy on tape: ${error.message}`,
      run,
      object: { bucket, key },
      contents: sha256,
      cause: sha256,
    })
    await addRequests(context.database, [impossible], context.now())
    await sendRequests(context, [impossible], signal)
    return null
  }
}

/**
 * A missing copy is made again under its name. A suspicious one is kept for people to inspect, and another
 * copy is made under the alternate name. A copy that was given up for lack of a source is made when the
 * source has been verified since.
 */
async function renewBadCopies(context: WithTape, signal: AbortSignal): Promise<number> {
  const { database, tape } = context
  const bad = await database
    .selectFrom('copies as replicas')
    .selectAll()
    .where('kind', '=', 'tape')
    .where('endpoint', '=', tape.endpoint)
    .where((where) =>
      where.or([
        where('state', '=', 'missing'),
        where.and([where('state', '=', 'failed'), where('nextAttemptAt', 'is', null)]),
        where.and([
          where('state', '=', 'suspicious'),
          where.not(
            where.exists(
              where
                .selectFrom('replicas as other')
                .select('other.id')
                .whereRef('other.bucket', '=', 'replicas.bucket')
                .whereRef('other.objectKey', '=', 'replicas.objectKey')
                .whereRef('other.sha256', '=', 'replicas.sha256')
                .whereRef('other.endpoint', '=', 'replicas.endpoint')
                .whereRef('other.id', '!=', 'replicas.id')
                .where('other.kind', '=', 'tape'),
            ),
          ),
        ]),
      ]),
    )
    // Only those with a source.
    .where((where) =>
      where.exists(
        where
          .selectFrom('replicas as source')
          .select('source.id')
          .whereRef('source.bucket', '=', 'replicas.bucket')
          .whereRef('source.objectKey', '=', 'replicas.objectKey')
          .whereRef('source.sha256', '=', 'replicas.sha256')
          .where('source.kind', '=', 'cloud')
          .where('source.state', '=', 'present')
          .where((either) =>
            either.or([
              either('replicas.state', '!=', 'failed'),
              either('source.verifiedAt', '>', either.ref('replicas.checkedAt')),
            ]),
          ),
      ),
    )
    .orderBy('id')
    .limit(PAGE)
    .execute()
  let renewed = 0
  for (const replica of bad) {
    if (signal.aborted) break
    if (replica.state !== 'suspicious') renewed += (await requestAgain(context, replica)) ? 1 : 0
    else {
      const copy = await requestOrAlert(
        context,
        contentOf(replica),
        { priority: 'live', requestedBy: 'sweep', alternateName: true },
        signal,
      )
      renewed += copy === null ? 0 : 1
    }
  }
  return renewed
}

/** The row is the work: a copy that is not verified on the medium has an open task. */
async function resumeWithoutTask({ database, tape, now }: WithTape, signal: AbortSignal): Promise<number> {
  const found = await database
    .selectFrom('replicas')
    .leftJoin('tasks', (join) =>
      join.on('tasks.kind', '=', TAPE_COPY).onRef('tasks.subjectId', '=', 'replicas.id'),
    )
    .selectAll('replicas')
    .where('replicas.kind', '=', 'tape')
    .where('replicas.endpoint', '=', tape.endpoint)
    .where('replicas.state', 'in', IN_WORK_ON_TAPE)
    .where((where) => where.or([where('tasks.id', 'is', null), where('tasks.state', '=', 'done')]))
    .limit(PAGE)
    .execute()
  for (const replica of found) {
    if (signal.aborted) break
    await inTransaction(database, async (trx) => {
      const task = tapeCopyTask({ ...replica, runId: await lockRunOfReplica(trx, replica) })
      if (replica.state === 'staged') await followTask(trx, task, now())
      else await restartTask(trx, task, now())
    })
  }
  return found.length
}

/** Requests a copy again that is missing or was given up. False when another function works on it. */
export async function requestAgain({ database, now }: WithTape, replica: Replica): Promise<boolean> {
  const at = now()
  return await inTransaction(database, async (trx) => {
    const runId = await lockRunOfReplica(trx, replica)
    const found = await trx
      .selectFrom('replicas')
      .select('id')
      .where('id', '=', replica.id)
      .where('state', 'in', ['missing', 'planned'])
      .where(isFree())
      .forUpdate()
      .executeTakeFirst()
    if (found === undefined) return false
    const task = tapeCopyTask({ ...replica, runId })
    if (!(await restartTask(trx, task, at))) return false
    await trx
      .updateTable('replicas')
      .set({ state: 'planned', requestedAt: at, updatedAt: at })
      .where('id', '=', replica.id)
      .execute()
    const detail = replica.lastError ?? replica.state
    await addHistory(trx, [{ runId, what: 'copy to tape asked for again', detail }], at)
    await refreshStorage(trx, runId)
    return true
  })
}
