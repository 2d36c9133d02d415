/**
 * The catalogue is the truth, a message is a hint: every file of a run gets its wish for a copy on tape, whether a message asked
 * for it or not, however old it is; a copy that vanished or went bad gets a successor; and one that is late is told.
 */
import { sql } from 'kysely'
import { addRequests, flushOutbox } from '../catalogue/outbox.ts'
import type { Replica } from '../catalogue/replica-schema.ts'
import { claimReplica, endClaim } from '../catalogue/replica-work.ts'
import { type Content, contentOf, contentOfFile, requestTapeReplica } from '../catalogue/replicas.ts'
import type { RunFile } from '../catalogue/schema.ts'
import { tapeName, tapeNameBeside } from '../tape/names.ts'
import { nameOf, replicaAlert } from './copy-outcome.ts'
import type { WithTape } from './copy-to-tape.ts'

const PAGE = 500
/** A file's own message has so long to ask for the copy. */
const GRACE_MS = 600_000

export interface Swept {
  /** Files that nobody had asked a copy for. */
  readonly requested: number
  /** Copies that vanished or went bad and are made anew. */
  readonly renewed: number
  /** Copies that people are told of now, because they are late. */
  readonly late: number
}

export async function sweepCopies(context: WithTape, signal: AbortSignal): Promise<Swept> {
  return {
    requested: await requestMissing(context, signal),
    renewed: await renewDoubtful(context, signal),
    late: await tellLate(context, signal),
  }
}

/** Writes the wish for the copy of a file's contents at the configured endpoint. */
export async function wishForCopy(
  context: WithTape,
  content: Content,
  wish: { readonly priority: 'live' | 'backlog'; readonly requestedBy: string; readonly beside?: boolean },
): Promise<Replica> {
  const object = { bucket: content.bucket, key: content.key }
  const name = wish.beside === true ? tapeNameBeside(object, content.sha256) : tapeName(object)
  const { endpoint } = context.tape
  const place = { endpoint, name, url: context.tape.url(name), ...(wish.beside === true ? { variant: 'beside' } : {}) }
  return await requestTapeReplica(
    context.database,
    content,
    { ...place, priority: wish.priority, requestedBy: wish.requestedBy },
    context.now(),
  )
}

async function requestMissing(context: WithTape, signal: AbortSignal): Promise<number> {
  const { database, tape } = context
  let requested = 0
  let after = 0
  while (!signal.aborted) {
    const page = await database
      .selectFrom('run_files')
      .innerJoin('runs', 'runs.id', 'run_files.run_id')
      .leftJoin('replicas', (join) =>
        join
          .onRef('replicas.bucket', '=', 'run_files.bucket')
          .onRef('replicas.object_key', '=', 'run_files.object_key')
          .onRef('replicas.sha256', '=', 'run_files.sha256')
          .on('replicas.kind', '=', 'tape')
          .on('replicas.endpoint', '=', tape.endpoint),
      )
      .selectAll('run_files')
      .select(['runs.tag', 'runs.run_number as runNumber'])
      .where('run_files.is_live', '=', 1)
      .where('run_files.integrity', '!=', 'mismatch')
      .where('run_files.catalogued_at', '<', new Date(context.now().getTime() - GRACE_MS))
      .where('run_files.id', '>', after)
      .where('replicas.id', 'is', null)
      .orderBy('run_files.id')
      .limit(PAGE)
      .execute()
    for (const { tag, runNumber, ...file } of page)
      await wishForCopy(context, contentOfFile(file as RunFile, { tag, runNumber }), { priority: 'backlog', requestedBy: 'sweep' })
    requested += page.length
    after = page.at(-1)?.id ?? after
    if (page.length < PAGE) break
  }
  return requested
}

/** One that vanished is made again under its name; beside one that went bad another is made, and the bad one stays for people. */
async function renewDoubtful(context: WithTape, signal: AbortSignal): Promise<number> {
  const { database, tape } = context
  const doubtful = await database
    .selectFrom('replicas')
    .selectAll()
    .where('kind', '=', 'tape')
    .where('endpoint', '=', tape.endpoint)
    .where('state', 'in', ['missing', 'suspicious'])
    // Where it can be copied from.
    .where((where) =>
      where.exists(
        where
          .selectFrom('replicas as source')
          .select('source.id')
          .whereRef('source.bucket', '=', 'replicas.bucket')
          .whereRef('source.object_key', '=', 'replicas.object_key')
          .whereRef('source.sha256', '=', 'replicas.sha256')
          .where('source.kind', '=', 'cloud')
          .where('source.state', '=', 'present'),
      ),
    )
    .orderBy('id')
    .limit(PAGE)
    .execute()
  let renewed = 0
  for (const replica of doubtful) {
    if (signal.aborted) break
    if (replica.state === 'missing') renewed += (await askAgain(context, replica)) ? 1 : 0
    else {
      const wish = await wishForCopy(context, contentOf(replica), { priority: 'live', requestedBy: 'sweep', beside: true })
      renewed += wish.state === 'requested' && wish.attempts === 0 ? 1 : 0
    }
  }
  return renewed
}

/** Puts a copy that cannot be counted on any more back among those to be made. False when somebody is at it. */
export async function askAgain(context: WithTape, replica: Replica, states: readonly Replica['state'][] = ['missing']): Promise<boolean> {
  const owner = `${context.owner}-again`
  const claim = await claimReplica(context.database, replica.id, states, { owner, leaseSeconds: 30 })
  if (claim === null) return false
  const at = context.now()
  const change = {
    state: 'requested' as const,
    requested_at: at,
    attempts: 0,
    next_attempt_at: null,
    reference: null,
    generation: replica.generation + 1,
  }
  await endClaim(
    context.database,
    claim,
    { change, note: { what: 'copy to tape asked for again', detail: replica.last_error ?? replica.state } },
    at,
  )
  return true
}

/** Once for every copy that is not verified on the medium so long after it was asked for. */
async function tellLate(context: WithTape, signal: AbortSignal): Promise<number> {
  const { database, config } = context
  const at = context.now()
  const since = new Date(at.getTime() - config.CYGNET_TAPE_LATE_HOURS * 3_600_000)
  const late = await database
    .selectFrom('replicas')
    .selectAll()
    .where('kind', '=', 'tape')
    .where('state', 'in', ['requested', 'copying', 'submitted', 'staged', 'failed'])
    .where('requested_at', '<', since)
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('outbox')
            .select('outbox.id')
            .where('outbox.name', '=', sql<string>`CONCAT('alert:not-on-tape:', LOWER(LEFT(HEX(replicas.identity), 32)))`),
        ),
      ),
    )
    .limit(PAGE)
    .execute()
  const alerts = late.map((replica) => {
    const why = replica.last_error === null ? '' : `: ${replica.last_error}`
    const summary = `${nameOf(replica)} is not verified on tape ${config.CYGNET_TAPE_LATE_HOURS} hours after it was asked for (${replica.state})${why}`
    return replicaAlert(replica, 'not-on-tape', 'error', summary)
  })
  if (alerts.length === 0) return 0
  await addRequests(database, alerts, at)
  await flushOutbox(database, context.queues, { names: alerts.map((alert) => alert.name) }, signal)
  return alerts.length
}
