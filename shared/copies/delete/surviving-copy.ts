/**
 * The copy on tape that makes a deletion safe: one that was verified now, not one that is said to be there.
 */

import { contentOf, replicasOfContent } from '../../catalogue/replicas.ts'
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { classify } from '../../errors.ts'
import { withoutSecrets } from '../../log.ts'
import { type Check, checkReplica } from '../verify/check-replica.ts'

export interface Survivor {
  readonly kind: 'survivor'
  readonly replica: Replica
  readonly verifiedBy: string
  readonly verifiedAt: Date
}

/**
 * What was verified counts for so long, and the claim is ours until after that. A process that stood still
 * meanwhile (its host was suspended) finds its limits unspent: only the clock tells.
 */
export const isStale = (
  { verifiedAt }: Pick<Survivor, 'verifiedAt'>,
  leaseSeconds: number,
  now: Date,
): boolean => now.getTime() - verifiedAt.getTime() > leaseSeconds * 500

/**
 * Verifies the tape copies of the same contents, one after another, until one is on the medium with the
 * file's checksum.
 * @param onDoubt gets each that turns out to be missing or different: to be written down (recordDoubt) once
 * the caller is done.
 * @throws what passes with time, when no copy was good and one of them could not be looked at.
 */
export async function findSurvivor(
  context: Context<'database' | 's3' | 'tape'>,
  replica: Replica,
  onDoubt: (tape: Replica) => void,
  signal: AbortSignal,
): Promise<Survivor | { readonly kind: 'none'; readonly reason: string }> {
  const copies = await replicasOfContent(context.database, contentOf(replica))
  const onTape = copies.filter((copy) => copy.kind === 'tape')
  const onMedia = onTape.filter((copy) => copy.state === 'on-media' && sameContents(copy, replica))
  const reasons: string[] = []
  let failure: unknown
  for (const copy of onMedia) {
    try {
      const check = await checkReplica(context, copy, 'if-needed', signal)
      if (check.state === 'verified' && check.onMedia && check.isUnconfirmed !== true)
        return {
          kind: 'survivor',
          replica: copy,
          verifiedBy: check.by.slice(0, 255),
          verifiedAt: context.now(),
        }
      reasons.push(`${copy.url}: ${flawOf(check)}`)
      if (check.state === 'missing' || check.state === 'different') onDoubt(copy)
    } catch (error) {
      signal.throwIfAborted()
      failure ??= error
      reasons.push(`${copy.url}: ${withoutSecrets(classify(error).message)}`)
    }
  }
  if (failure !== undefined) throw failure
  if (reasons.length > 0)
    return { kind: 'none', reason: `no copy on tape is verified now: ${reasons.join('; ')}` }
  return {
    kind: 'none',
    reason: onTape.length === 0 ? 'it has no copy on tape' : onTape.map(flawOfRow).join('; '),
  }
}

/** All that is compared must be the same for both rows, not only the SHA-256 by which they were found. */
const sameContents = (a: Replica, b: Replica) =>
  a.sizeBytes === b.sizeBytes && a.sha256 === b.sha256 && a.md5 === b.md5 && a.adler32 === b.adler32

function flawOfRow({ url, state, lastError: error }: Replica): string {
  if (state === 'on-media') return `its copy on tape has another size or checksum by the catalogue (${url})`
  return `its copy on tape is "${state}"${error === null ? '' : `: ${error}`} (${url})`
}

function flawOf(check: Check): string {
  if (check.state === 'verified')
    return check.onMedia ? `only said to be there (${check.by})` : "on the endpoint's disk buffer only"
  return check.state === 'missing' ? 'it is not there' : check.detail
}
