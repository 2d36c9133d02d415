/**
 * The DAQ's own files as replicas, reported by the program on the DAQ's machine, which alone knows what is on
 * that disk. Their deletion is in local-deletion.ts.
 */

import { sql, type Transaction } from 'kysely'
import { weigh, weighNew } from '../../catalogue/evidence.ts'
import { claimReplica, endClaim } from '../../catalogue/replica-work.ts'
import {
  type Content,
  contentOfFile,
  lockRunOfContent,
  refreshStorage,
  replicaIdentity,
  replicaRow,
} from '../../catalogue/replicas.ts'
import type { Context } from '../../context.ts'
import { type Executor, inTransaction } from '../../database/connect.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { Schema } from '../../database/schema.ts'
import { InvalidInputError } from '../../errors.ts'
import { isFree, NO_LEASE } from '../../work/lease.ts'
import type { LocalContent } from './safety.ts'
import { withdrawTombstones } from './tombstones.ts'

export type LocalContext = Pick<Context<'database'>, 'database' | 'now' | 'owner'>

/** A file on the DAQ's disk and what it is a copy of. */
export interface LocalCopy extends LocalContent {
  /** Name of the machine. */
  readonly host: string
  /** Absolute. */
  readonly path: string
}

/** Longest name and longest encoded URL that the columns hold. */
const LONGEST = { name: 1300, url: 2048 }

/** @throws InvalidInputError for a path that the catalogue cannot hold. */
function placeOf({ host, path }: LocalCopy) {
  const url = `file://${host}${path.split('/').map(encodeURIComponent).join('/')}`
  if (!path.startsWith('/') || path.length > LONGEST.name || url.length > LONGEST.url)
    throw new InvalidInputError(`"${path}" is not an absolute path, or is too long for the catalogue`)
  return {
    kind: 'local',
    endpoint: host,
    url,
    name: path,
    requestedBy: `push on ${host}`.slice(0, 100),
  } as const
}

/**
 * Records that the file exists and has this SHA-256, read just now.
 * @returns the row's id; null while the contents are not catalogued, so that there is no run to record it
 * for: report it again later.
 */
export async function noteLocalCopy(context: LocalContext, copy: LocalCopy): Promise<number | null> {
  const place = placeOf(copy)
  const at = context.now()
  const work = async (trx: Transaction<Schema>) => {
    const catalogued = await cataloguedContent(trx, copy)
    if (catalogued === null) return null
    // The run is always locked before its replicas.
    const content = await lockRunOfContent(trx, catalogued)
    const row = replicaRow(content, place, at)
    const find = trx
      .selectFrom('replicas')
      .select(['id', 'state', 'name', sql<number>`NOT ${isFree()}`.as('isLeased')])
      .where('identity', '=', row.identity)
    const before = await find.executeTakeFirst()
    if (before?.state === 'deleting') {
      // The process that started this deletion ends it; a deletion of the file at another path is withdrawn.
      if (before.name === place.name || Number(before.isLeased) === 1) return before.id
      await withdrawTombstones(trx, before.id, `the file was read at ${place.name}`.slice(0, 255), at)
    }
    const by = `sha256 read by push on ${copy.host}`
    const stated = { result: 'agrees', evidence: 'statement', by, onMedia: true } as const
    const seen = {
      url: place.url,
      name: place.name,
      // The machine alone knows its disk: its statement replaces what the row had.
      ...weighNew('local', stated, at),
      deletedAt: null,
      updatedAt: at,
      ...(before?.state === 'deleting' ? NO_LEASE : {}),
    }
    const values = { ...row, startedAt: at, storedAt: at, ...seen }
    await trx.insertInto('replicas').values(values).onDuplicateKeyUpdate(seen).execute()
    if (before?.state !== 'present') await refreshStorage(trx, content.run.id)
    return (await find.executeTakeFirstOrThrow()).id
  }
  return await inTransaction(context.database, work)
}

/**
 * Records that the file is missing where it was before, in a folder that could be read: something else
 * removed or replaced it. @returns false while another process works on it: report it again later.
 */
export async function noteVanishedCopy(context: LocalContext, copy: LocalCopy): Promise<boolean> {
  const row = await findLocalCopy(context, copy)
  if (row?.state !== 'present' || row.name !== copy.path) return true
  const claim = await claimReplica(context.database, row.id, ['present'], {
    owner: context.owner.slice(0, 100),
    leaseSeconds: 60,
  })
  if (claim === null) return false
  const at = context.now()
  const change = weigh(
    claim.replica,
    { result: 'absent', evidence: 'statement', reason: 'push did not find it at its path' },
    at,
  )
  const note = {
    what: 'local file gone',
    detail: `${claim.replica.url}: missing, and not removed by push`,
  }
  await endClaim(context.database, claim, { change, note }, at)
  return true
}

/** Whether such a report would change what is known of the copy, beyond the time of its last check. */
export async function isNews(context: LocalContext, copy: LocalCopy, isThere: boolean): Promise<boolean> {
  const row = await findLocalCopy(context, copy)
  if (row === undefined) return isThere && (await cataloguedContent(context.database, copy)) !== null
  return (row.state === 'present' && row.name === copy.path) !== isThere
}

/** The copy's row, whatever path on its machine it states. */
export const findLocalCopy = (
  { database }: Pick<LocalContext, 'database'>,
  copy: LocalCopy,
): Promise<Replica | undefined> =>
  database
    .selectFrom('replicas')
    .selectAll()
    .where('identity', '=', replicaIdentity('local', copy.host, copy))
    .executeTakeFirst()

/** The contents as they were catalogued, whether the store still holds them or not. */
async function cataloguedContent(executor: Executor, copy: LocalContent): Promise<Content | null> {
  const file = await executor
    .selectFrom('runFiles')
    .innerJoin('runs', 'runs.id', 'runFiles.runId')
    .selectAll('runFiles')
    .select(['runs.tag', 'runs.runNumber'])
    .where('bucket', '=', copy.bucket)
    .where('objectKey', '=', copy.key)
    .where('sha256', '=', copy.sha256)
    .where('runFiles.sizeBytes', '=', copy.sizeBytes)
    .orderBy('isLive', 'desc')
    .orderBy('runFiles.id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return file === undefined ? null : contentOfFile(file, file)
}
