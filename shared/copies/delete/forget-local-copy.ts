/**
 * How a file of the DAQ leaves its disk where the program that removes it reaches the catalogue, the store
 * and the tape itself: all in one call. A crash anywhere leaves a row that says `deleting`, which the next
 * start puts right.
 */
import { claimReplica, endClaim } from '../../catalogue/replica-work.ts'
import type { TapeContext } from '../../context.ts'
import { ConflictError } from '../../errors.ts'
import type { LocalContext, LocalCopy } from './local-copies.ts'
import { claimLocalCopy, claimOptions, endDeletion, isTooLate, permit, TOO_LATE } from './local-deletion.ts'

export interface Forgotten {
  /** True when the file was removed and that is written down. */
  readonly deleted: boolean
  /** One sentence: what makes it safe, what is awaited, or what is wrong. */
  readonly why: string
}

/**
 * Removes the DAQ's file when the object in the store and a copy on tape are both found to be right in this
 * very call.
 * @param remove removes the file, durably; called once the tombstone is written. Throws while the file is
 * still there.
 * @throws what `remove` throws, and what passes with time: then nothing was deleted and the copy counts as
 * present. ConflictError when another process is at work on the file.
 */
export async function forgetLocalCopy(
  context: TapeContext,
  copy: LocalCopy,
  remove: () => Promise<void>,
  signal: AbortSignal,
): Promise<Forgotten> {
  const claim = await claimLocalCopy(context, copy, ['present'])
  if (claim === null) throw new ConflictError(`another process is at work on ${copy.path}`)
  if ('is' in claim) return { deleted: false, why: claim.why }
  const judged = await permit(context, claim, copy, signal)
  if (judged.is === 'refused') return { deleted: false, why: judged.why }
  if (isTooLate(context, judged)) {
    await endDeletion(context, claim, 'withdrawn', 'it took too long').catch((error: unknown) => {
      if (!(error instanceof ConflictError)) throw error
    })
    return { deleted: false, why: TOO_LATE }
  }
  try {
    await remove()
  } catch (error) {
    await endDeletion(context, claim, 'withdrawn', 'the file could not be removed')
    throw error
  }
  await endDeletion(context, claim, 'deleted', 'removed from the disk of the DAQ')
  return { deleted: true, why: judged.why }
}

/**
 * Puts right what a crash left of deletions on this machine: a file that is still there counts as present
 * again, one that is gone as deleted. To be called when the program starts.
 * @param isThere null when that cannot be said now: the disk may not be mounted. @returns how many were
 * ended.
 */
export async function endInterruptedForgetting(
  context: LocalContext,
  host: string,
  isThere: (path: string) => Promise<boolean | null>,
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
    const there = await isThere(claim.replica.name)
    if (there === null) {
      await endClaim(context.database, claim, { change: {} }, context.now())
      continue
    }
    if (there) await endDeletion(context, claim, 'withdrawn', 'interrupted: the file is still there')
    else await endDeletion(context, claim, 'deleted', 'interrupted: the file is gone')
    ended += 1
  }
  return ended
}
