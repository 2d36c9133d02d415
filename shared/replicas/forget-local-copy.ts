/**
 * How a file of the DAQ leaves its disk: judged and given a tombstone in one transaction under the run's lock, removed, and
 * written down. A crash anywhere leaves a row that says `deleting`, which the next start puts right.
 */
import { randomUUID } from 'node:crypto'
import type { Transaction } from 'kysely'
import type { Replica } from '../catalogue/replica-schema.ts'
import { type Claim, claimReplica, endClaim, noteStep } from '../catalogue/replica-work.ts'
import { replicaIdentity, replicasOfContent } from '../catalogue/replicas.ts'
import type { Schema } from '../catalogue/schema.ts'
import { ConflictError } from '../errors.ts'
import type { ObjectVersion } from '../storage/objects.ts'
import type { Check } from './check-replica.ts'
import type { LocalContext, LocalCopy } from './local-copies.ts'
import { judgeSafety, type Safety, safetyOf, verifiedOnTape } from './safety.ts'
import type { Survivor } from './surviving-copy.ts'
import { endTombstone, openTombstones, writeTombstone } from './tombstones.ts'

export interface Forgetting {
  /** Removes the file, durably; called once the tombstone is written. Throws while the file is still there. */
  readonly remove: () => Promise<void>
  /** Where the tape can be reached from here: looks at the copy that survives, in this very call. */
  readonly checkSurvivor?: (tape: Replica) => Promise<Check>
}

export interface Forgotten extends Safety {
  /** True when the file was removed and that is written down. */
  readonly deleted: boolean
}

const LEASE_SECONDS = 300
const REASON = 'copies in the store and on tape are verified'

/** A file is no version of an object. */
const fileVersion = ({ bucket, key, sizeBytes }: LocalCopy, at: Date): ObjectVersion => ({
  bucket,
  key,
  sizeBytes,
  etag: '',
  versionId: null,
  lastModified: at,
})

/**
 * Removes the DAQ's file when that is safe.
 * @throws what `remove` and `checkSurvivor` throw: then nothing was deleted and the copy counts as present. ConflictError when
 * another process is at work on the file.
 */
export async function forgetLocalCopy(context: LocalContext, copy: LocalCopy, forgetting: Forgetting): Promise<Forgotten> {
  const safety = await safetyOf(context, copy)
  if (!safety.safe) return { ...safety, deleted: false }
  const row = await context.database
    .selectFrom('replicas')
    .select(['id', 'name', 'state'])
    .where('identity', '=', replicaIdentity('local', copy.host, copy))
    .executeTakeFirst()
  if (row?.state !== 'present' || row.name !== copy.path)
    return { ...safety, safe: false, why: 'the catalogue was not told of this file yet: it is read and compared first', deleted: false }
  const claim = await claimReplica(context.database, row.id, ['present'], claimOptions(context))
  if (claim === null) throw new ConflictError(`another process is at work on ${copy.path}`)
  const { at, ...begun } = await begin(context, claim, { copy, safety }, forgetting.checkSurvivor).catch(async (error: unknown) => {
    await release(context, claim)
    throw error
  })
  if (!begun.safe) {
    await release(context, claim)
    return { ...begun, deleted: false }
  }
  // A process that stood still meanwhile (its machine was suspended) may have lost the claim: what it judged counts no more.
  if (context.now().getTime() - at.getTime() > LEASE_SECONDS * 500) {
    await end(context, claim, 'withdrawn', 'it took too long').catch((error: unknown) => {
      if (!(error instanceof ConflictError)) throw error
    })
    return { ...begun, safe: false, why: 'it took too long after the copies were judged: they are judged anew', deleted: false }
  }
  try {
    await forgetting.remove()
  } catch (error) {
    await end(context, claim, 'withdrawn', 'the file could not be removed')
    throw error
  }
  await end(context, claim, 'deleted', 'removed from the disk of the DAQ')
  return { ...begun, deleted: true }
}

/**
 * Puts right what a crash left of deletions on this machine: a file that is still there counts as present again, one that is gone
 * as deleted. To be called when the program starts. @returns how many there were.
 */
export async function endInterruptedForgetting(
  context: LocalContext,
  host: string,
  isThere: (path: string) => Promise<boolean>,
): Promise<number> {
  const rows = await context.database
    .selectFrom('replicas')
    .select('id')
    .where('kind', '=', 'local')
    .where('state', '=', 'deleting')
    .where('endpoint', '=', host)
    .execute()
  let ended = 0
  for (const { id } of rows) {
    const claim = await claimReplica(context.database, id, ['deleting'], claimOptions(context))
    if (claim === null) continue
    if (await isThere(claim.replica.name)) await end(context, claim, 'withdrawn', 'interrupted: the file is still there')
    else await end(context, claim, 'deleted', 'interrupted: the file is gone')
    ended += 1
  }
  return ended
}

const claimOptions = (context: LocalContext) => ({
  owner: `${context.owner}-${randomUUID().slice(0, 8)}`,
  leaseSeconds: LEASE_SECONDS,
})

const release = (context: LocalContext, claim: Claim) => endClaim(context.database, claim, { change: {} }, context.now())

/** Carries the judgement out of the transaction that it rolls back. */
class NotSafe extends Error {
  readonly safety: Safety
  constructor(safety: Safety) {
    super(safety.why)
    this.safety = safety
  }
}

/** From here on the catalogue says that the file is being deleted; nothing was written when the answer is not safe. */
async function begin(
  context: LocalContext,
  claim: Claim,
  { copy, safety }: { readonly copy: LocalCopy; readonly safety: Safety },
  checkSurvivor: Forgetting['checkSurvivor'],
): Promise<Safety & { readonly at: Date }> {
  const fresh = checkSurvivor === undefined ? null : await lookAtSurvivor(context, copy, checkSurvivor)
  const at = context.now()
  if (fresh !== null && 'why' in fresh) return { ...fresh, at }
  const writtenBy = context.owner.slice(0, 100)
  const also = async (trx: Transaction<Schema>) => {
    const copies = await replicasOfContent(trx, copy)
    const found = judgeSafety(copy, copies)
    const replica = copies.find((copied) => verifiedOnTape(copied) && (fresh === null || copied.id === fresh.replica.id))
    if (!found.safe) throw new NotSafe(found)
    if (replica === undefined) throw new NotSafe({ ...found, safe: false, why: 'the copy on tape changed while it was looked at' })
    const known = {
      kind: 'survivor',
      replica,
      verifiedBy: replica.verified_by ?? 'not said',
      verifiedAt: replica.verified_at ?? at,
    } as const
    const survivor = fresh ?? known
    await writeTombstone(trx, { replica: claim.replica, version: fileVersion(copy, at), survivor, reason: REASON, writtenBy }, at)
  }
  try {
    await noteStep(context.database, claim, { change: { state: 'deleting' }, also }, at)
  } catch (error) {
    if (error instanceof NotSafe) return { ...error.safety, at }
    throw error
  }
  return { ...safety, at }
}

async function lookAtSurvivor(
  context: LocalContext,
  copy: LocalCopy,
  check: NonNullable<Forgetting['checkSurvivor']>,
): Promise<Survivor | Safety> {
  const copies = await replicasOfContent(context.database, copy)
  const survivor = copies.find(verifiedOnTape)
  const safety = judgeSafety(copy, copies)
  if (survivor === undefined) return { ...safety, safe: false }
  const seen = await check(survivor)
  if (seen.state === 'verified' && seen.onMedia)
    return { kind: 'survivor', replica: survivor, verifiedBy: seen.by.slice(0, 255), verifiedAt: context.now() }
  const what = seen.state === 'verified' ? "it is on the endpoint's disk buffer only" : 'detail' in seen ? seen.detail : 'it is not there'
  return { ...safety, safe: false, why: `the copy on tape could not be verified just now: ${what}` }
}

/** Ends the deletion, its tombstone and the claim together, with a line of the run's history. */
async function end(context: LocalContext, claim: Claim, how: 'deleted' | 'withdrawn', note: string): Promise<void> {
  const at = context.now()
  const change =
    how === 'deleted' ? { state: 'deleted' as const, deleted_at: at } : { state: 'present' as const, last_error: note, deleted_at: null }
  const outcome = {
    change,
    note: { what: how === 'deleted' ? 'local file deleted' : 'deletion withdrawn', detail: `${claim.replica.url}: ${note}` },
    also: async (trx: Transaction<Schema>) => {
      for (const { id } of await openTombstones(trx, claim.replica.id)) await endTombstone(trx, id, { state: how, note }, at)
    },
  }
  await endClaim(context.database, claim, outcome, at)
}
