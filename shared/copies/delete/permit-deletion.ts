/**
 * The only way to delete a file of the DAQ: the program on its machine requests a permission from the API,
 * removes the file while the permission is valid, and reports the outcome. In between the row is `deleting`,
 * under a lease longer than the permission, so that no other process ends the deletion.
 */
import { weigh } from '../../catalogue/evidence.ts'
import { type Claim, claimReplica, endClaim, takeOverClaim } from '../../catalogue/replica-work.ts'
import { findReplica } from '../../catalogue/replicas.ts'
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { ConflictError } from '../../errors.ts'
import type { ObjectName } from '../../run.ts'
import {
  findLocalCopy,
  type LocalContext,
  type LocalCopy,
  noteLocalCopy,
  noteVanishedCopy,
} from './local-copies.ts'
import { claimLocalCopy, claimOptions, endDeletion, permit, type Refused, refused } from './local-deletion.ts'
import { findTombstone, openTombstones, withdrawTombstones } from './tombstones.ts'

export interface Permission {
  readonly kind: 'permitted'
  /** Names the permission when its outcome is reported. */
  readonly id: number
  readonly why: string
  /** Counted from before the request was sent, by the clock of the caller. */
  readonly validSeconds: number
}

/** Well below the lease. */
const VALID_SECONDS = 60

/**
 * Whether this file may be removed now. The caller has just read it, so it is recorded as a copy. A repeated
 * request during a permission checks the copies again and returns the same id.
 * @throws what passes with time, and the signal's reason: then nothing is permitted, and an earlier
 * permission is withdrawn. InvalidInputError for a path that the catalogue cannot hold.
 */
export async function permitDeletion(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  copy: LocalCopy,
  signal: AbortSignal,
): Promise<Permission | Refused> {
  if ((await noteLocalCopy(context, copy)) === null) return refused('these contents are not catalogued yet')
  const claim = (await claimLocalCopy(context, copy)) ?? (await ownClaim(context, copy))
  if (claim === null) return refused('another process is working on this file now')
  if ('kind' in claim) return claim
  const judged = await permit(context, claim, copy, signal)
  if (judged.kind === 'refused') return judged
  return { kind: 'permitted', id: judged.tombstoneId, why: judged.why, validSeconds: VALID_SECONDS }
}

/**
 * Takes over the claim of a permission in force for this file: the caller repeats a request whose answer was
 * lost.
 */
async function ownClaim(context: Context<'database'>, copy: LocalCopy): Promise<Claim | null> {
  const replica = await findLocalCopy(context, copy)
  if (replica?.state !== 'deleting' || replica.name !== copy.path) return null
  const permission = (await openTombstones(context.database, replica.id)).at(-1)
  if (permission === undefined || permission.writtenBy !== replica.leaseOwner) return null
  // Taken over, so that an earlier request that is still being answered cannot withdraw the new permission.
  return await takeOverClaim(
    context.database,
    { replica, owner: permission.writtenBy },
    claimOptions(context),
  )
}

export interface EndOfPermission extends ObjectName {
  readonly id: number
  readonly host: string
  /** Whether the file is removed. */
  readonly gone: boolean
}

/**
 * Records the outcome of a permission. A repeated report does not change the first one; a file that was
 * removed although the permission was withdrawn counts as missing from then on.
 * @returns how the deletion ended; null when no such permission was given to this machine for this object.
 * @throws ConflictError while another process works on the file.
 */
export async function endPermission(
  context: LocalContext,
  end: EndOfPermission,
): Promise<'deleted' | 'withdrawn' | null> {
  const { database } = context
  const tombstone = await findTombstone(database, end.id)
  const replica = tombstone === null ? null : await findReplica(database, tombstone.replicaId)
  if (tombstone === null || replica === null || replica.kind !== 'local' || replica.endpoint !== end.host)
    return null
  if (tombstone.bucket !== end.bucket || tombstone.objectKey !== end.key) return null
  if (tombstone.state === 'withdrawn' && end.gone) await noteVanishedCopy(context, fileOf(replica))
  if (tombstone.state !== 'intended') return tombstone.state
  // The lease has run out when the machine was away for long; otherwise it is that of the permission.
  const claim = (await claimReplica(database, replica.id, ['deleting'], claimOptions(context))) ?? {
    replica,
    owner: tombstone.writtenBy,
  }
  try {
    if (end.gone) await endDeletion(context, claim, 'deleted', 'removed from the disk of the DAQ')
    else await endDeletion(context, claim, 'withdrawn', 'the file is still there')
  } catch (error) {
    const now = await findTombstone(database, end.id)
    if (!(error instanceof ConflictError) || now === null || now.state === 'intended') throw error
    return now.state
  }
  return end.gone ? 'deleted' : 'withdrawn'
}

const fileOf = ({
  endpoint: host,
  name: path,
  bucket,
  objectKey: key,
  sha256,
  sizeBytes,
}: Replica): LocalCopy => ({
  host,
  path,
  bucket,
  key,
  sha256,
  sizeBytes,
})

/** Longer than an outage of the API that delays a report. */
const REPORT_OVERDUE_MS = 86_400_000
const NOT_REPORTED = 'the outcome of its deletion was not reported'

/**
 * Ends permissions whose outcome was not reported for a day: the machine failed, or it never received the
 * permission. The file counts as missing, until it is read again. @returns how many were ended.
 */
export async function endUnreportedPermissions({ database, now, owner }: LocalContext): Promise<number> {
  const at = now()
  const rows = await database
    .selectFrom('replicas')
    .select('id')
    .where('kind', '=', 'local')
    .where('state', '=', 'deleting')
    .where('updatedAt', '<', new Date(at.getTime() - REPORT_OVERDUE_MS))
    .limit(500)
    .execute()
  let ended = 0
  for (const { id } of rows) {
    const claim = await claimReplica(database, id, ['deleting'], claimOptions({ owner }))
    if (claim === null) continue
    const silence = { result: 'absent', evidence: 'inference', reason: NOT_REPORTED } as const
    const change = weigh(claim.replica, silence, at)
    const note = { what: 'local file not seen again', detail: `${claim.replica.url}: ${NOT_REPORTED}` }
    await endClaim(
      database,
      claim,
      { change, note, also: (trx) => withdrawTombstones(trx, id, NOT_REPORTED, at) },
      at,
    )
    ended += 1
  }
  return ended
}
