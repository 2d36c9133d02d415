/** The copy on tape that makes a deletion safe: one that was verified now, not one that is said to be there. */
import type { Replica } from '../catalogue/replica-schema.ts'
import { contentOf, replicasOfContent } from '../catalogue/replicas.ts'
import { classify } from '../errors.ts'
import { withoutSecrets } from '../log.ts'
import type { TapeContext } from '../runtime/context.ts'
import { type Check, checkReplica } from './check-replica.ts'
import { verifyReplica } from './verify.ts'

export interface Survivor {
  readonly kind: 'survivor'
  readonly replica: Replica
  readonly verifiedBy: string
  readonly verifiedAt: Date
}

/**
 * Verifies the tape copies of the same contents, one after another, until one is on the medium with the file's checksum. One
 * that turns out to be missing or different is verified once more in the way that writes it down, with its alert: then nobody
 * counts on it any more, who would delete the DAQ's file neither.
 * @throws what passes with time, when no copy was good and one of them could not be looked at.
 */
export async function findSurvivor(
  context: TapeContext,
  replica: Replica,
  signal: AbortSignal,
): Promise<Survivor | { readonly kind: 'none'; readonly reason: string }> {
  const copies = await replicasOfContent(context.database, contentOf(replica))
  const onMedia = copies.filter((copy) => copy.kind === 'tape' && copy.state === 'on-media' && sameContents(copy, replica))
  const reasons: string[] = []
  let failure: unknown
  for (const copy of onMedia) {
    try {
      const check = await checkReplica(context, copy, 'if-needed', signal)
      if (check.state === 'verified' && check.onMedia)
        return { kind: 'survivor', replica: copy, verifiedBy: check.by.slice(0, 255), verifiedAt: context.now() }
      reasons.push(`${copy.url}: ${flawOf(check)}`)
      if (check.state === 'missing' || check.state === 'different')
        await verifyReplica(context, copy.id, { readBack: 'if-needed' }, signal, context.log)
    } catch (error) {
      signal.throwIfAborted()
      failure ??= error
      reasons.push(`${copy.url}: ${withoutSecrets(classify(error).message)}`)
    }
  }
  if (failure !== undefined) throw failure
  return {
    kind: 'none',
    reason: reasons.length === 0 ? 'it has no copy on tape' : `no copy on tape is verified now: ${reasons.join('; ')}`,
  }
}

/** All that is compared must be the same for both rows, not only the SHA-256 by which they were found. */
const sameContents = (a: Replica, b: Replica) =>
  a.size_bytes === b.size_bytes && a.sha256 === b.sha256 && a.md5 === b.md5 && a.adler32 === b.adler32

function flawOf(check: Check): string {
  if (check.state === 'verified') return "on the endpoint's disk buffer only"
  return check.state === 'missing' ? 'it is not there' : check.detail
}
