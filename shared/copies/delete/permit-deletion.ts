/**
 * The one way in which a file of the DAQ leaves its disk: the program on its machine asks the API, removes the
 * file while the permission lasts, and reports what came of it. In between the row says `deleting`, under a lease that outlasts the
 * permission, so that nobody else puts it right.
 */
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
  readonly is: 'permitted'
  /** Names the permission when what came of it is told. */
  readonly id: number
  readonly why: string
  /** From before the question was asked, by the clock of who asked. */
  readonly validSeconds: number
}

/** Well below the lease. */
const VALID_SECONDS = 60

/**
 * May this file be removed now? The asker has just read it: so it is noted as a copy. Asked again while a
 * permission was given, the copies are looked at again, and the id is the same.
 * @throws what passes with time, and the signal's reason: then nothing is permitted, and what was permitted
 * before is withdrawn. InvalidInputError for a path that the catalogue cannot hold.
 */
export async function permitDeletion(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  copy: LocalCopy,
  signal: AbortSignal,
): Promise<Permission | Refused> {
  if ((await noteLocalCopy(context, copy)) === null) return refused('these contents are not catalogued yet')
  const claim = (await claimLocalCopy(context, copy)) ?? (await ownClaim(context, copy))
  if (claim === null) return refused('another process is at work on this file just now')
  if ('is' in claim) return claim
  const judged = await permit(context, claim, copy, signal)
  if (judged.is === 'refused') return judged
  return { is: 'permitted', id: judged.tombstoneId, why: judged.why, validSeconds: VALID_SECONDS }
}

/**
 * That of a permission in force for this file: who has it may ask again, since the answer may have been lost.
 */
async function ownClaim(context: Context<'database'>, copy: LocalCopy): Promise<Claim | null> {
  const replica = await findLocalCopy(context, copy)
  if (replica?.state !== 'deleting' || replica.name !== copy.path) return null
  const permission = (await openTombstones(context.database, replica.id)).at(-1)
  if (permission === undefined || permission.writtenBy !== replica.leaseOwner) return null
  // An earlier question that is still being answered must not withdraw what is permitted now.
  return await takeOverClaim(
    context.database,
    { replica, owner: permission.writtenBy },
    claimOptions(context),
  )
}

export interface EndOfPermission extends ObjectName {
  readonly id: number
  readonly host: string
  /** The file is not there any more. */
  readonly gone: boolean
}

/**
 * What came of a permission. Told once more, it stays as it was told first; a file that is gone though the
 * permission was withdrawn counts as missing from then on.
 * @returns how the deletion ended; null when no such permission was given to this machine for this object.
 * @throws ConflictError while another process is at it.
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
  // The lease is over where the machine was away for long; else it is that of the permission.
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

/** An API that was away for so long is back by then, and what was to be told through it was told. */
const FORGOTTEN_MS = 86_400_000
const NOBODY_SAID = 'nobody said what came of its deletion'

/**
 * Permissions of which nobody says what became, for a day: the machine is gone, or its watch never heard of
 * them. The file counts as missing, which is true or mended when it is read again. @returns how many were
 * ended.
 */
export async function endForgottenPermissions({ database, now, owner }: LocalContext): Promise<number> {
  const at = now()
  const rows = await database
    .selectFrom('replicas')
    .select('id')
    .where('kind', '=', 'local')
    .where('state', '=', 'deleting')
    .where('updatedAt', '<', new Date(at.getTime() - FORGOTTEN_MS))
    .limit(500)
    .execute()
  let ended = 0
  for (const { id } of rows) {
    const claim = await claimReplica(database, id, ['deleting'], claimOptions({ owner }))
    if (claim === null) continue
    const change = { state: 'missing' as const, checkedAt: at, lastError: NOBODY_SAID }
    const note = { what: 'local file not seen again', detail: `${claim.replica.url}: ${NOBODY_SAID}` }
    await endClaim(
      database,
      claim,
      { change, note, also: (trx) => withdrawTombstones(trx, id, NOBODY_SAID, at) },
      at,
    )
    ended += 1
  }
  return ended
}
