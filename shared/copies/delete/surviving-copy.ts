/**
 * The copy on tape that makes a deletion safe: verified in this call, not merely reported by the endpoint.
 */

import { comparesContent } from '../../catalogue/evidence.ts'
import { contentOf, replicasOfContent } from '../../catalogue/replicas.ts'
import type { Context } from '../../context.ts'
import { databaseTime } from '../../database/clock.ts'
import type { Executor } from '../../database/connect.ts'
import type { Evidence, Replica } from '../../database/replica-schema.ts'
import { classify } from '../../errors.ts'
import { withoutSecrets } from '../../log.ts'
import { isFree } from '../../work/lease.ts'
import { type Check, checkReplica, mediumAssumed } from '../verify/check-replica.ts'

export interface Survivor {
  readonly kind: 'survivor'
  readonly replica: Replica
  readonly verifiedBy: string
  /** At least a checksum that the place states. */
  readonly evidence: Evidence
  readonly verifiedAt: Date
  /** The database's own time after the verification. */
  readonly askedAt: Date
  /** The machine's own clock: unlike the steady one, it goes on while the machine is suspended. */
  readonly wallMs: number
}

/**
 * A verification counts for half the lease, so the claim outlasts it. After the host was suspended neither the
 * timers nor the clock of the process need show the delay, so the database is asked.
 */
export async function isStale(
  { database, now }: Pick<Context<'database'>, 'database' | 'now'>,
  { verifiedAt, askedAt, wallMs }: Survivor,
  leaseSeconds: number,
): Promise<boolean> {
  const asked = await databaseTime(database)
  // After the answer, since the process may have been suspended while it waited for it.
  const ages = [
    asked.getTime() - askedAt.getTime(),
    now().getTime() - verifiedAt.getTime(),
    Date.now() - wallMs,
  ]
  return Math.max(...ages) > leaseSeconds * 500
}

/** No copy makes the deletion safe. `busy`: another function is reading one, which may find it wrong. */
export interface NoSurvivor {
  readonly kind: 'none'
  readonly code: 'busy' | 'no-verified-copy'
  readonly reason: string
}

/**
 * Whether another function works on a copy now. Locks its row, so that none begins before the transaction ends.
 */
export async function isInUse(trx: Executor, id: number): Promise<boolean> {
  const free = trx.selectFrom('replicas').select('id').where('id', '=', id).where(isFree()).forUpdate()
  return (await free.executeTakeFirst()) === undefined
}

export const inUse = ({ url }: Pick<Replica, 'url'>): string =>
  `another function is working on ${url} now: its result is awaited`

/**
 * Verifies the tape copies of the same contents, one after another, until one is on the medium with the
 * file's checksum. A copy that another function is reading does not count: that may find it wrong.
 * @param onBadCopy is called for each copy that is missing, different or not on the medium; the caller records it
 * (recordBadCopy) at the end.
 * @throws what passes with time, when no copy was good and one of them could not be checked.
 */
export async function findSurvivor(
  context: Context<'database' | 's3' | 'tape'>,
  replica: Replica,
  onBadCopy: (tape: Replica) => void,
  signal: AbortSignal,
): Promise<Survivor | NoSurvivor> {
  const copies = await replicasOfContent(context.database, contentOf(replica))
  const onTape = copies.filter((copy) => copy.kind === 'tape')
  const onMedia = onTape.filter((copy) => countsOnMedia(copy) && sameContents(copy, replica))
  const reasons: string[] = []
  let code: NoSurvivor['code'] = 'no-verified-copy'
  let failure: unknown
  for (const copy of onMedia) {
    if (await isInUse(context.database, copy.id)) {
      code = 'busy'
      reasons.push(inUse(copy))
      continue
    }
    try {
      const check = await checkReplica(context, copy, 'if-needed', signal)
      const verifiedAt = context.now()
      const askedAt = await databaseTime(context.database)
      if (isProvenOnMedia(check))
        return {
          kind: 'survivor',
          replica: copy,
          verifiedBy: check.by.slice(0, 255),
          evidence: check.evidence,
          verifiedAt,
          askedAt,
          wallMs: Date.now(),
        }
      reasons.push(`${copy.url}: ${flawOf(check)}`)
      if (isContradiction(check)) onBadCopy(copy)
    } catch (error) {
      signal.throwIfAborted()
      failure ??= error
      reasons.push(`${copy.url}: ${withoutSecrets(classify(error).message)}`)
    }
  }
  if (failure !== undefined) throw failure
  if (reasons.length > 0)
    return { kind: 'none', code, reason: `no copy on tape is verified now: ${reasons.join('; ')}` }
  return {
    kind: 'none',
    code,
    reason: onTape.length === 0 ? 'it has no copy on tape' : onTape.map(flawOfRow).join('; '),
  }
}

const countsOnMedia = ({ state, doubtedEvidence }: Replica) =>
  state === 'on-media' && doubtedEvidence === null

/** Every checksum must be equal in both rows, not only the SHA-256 that connects them. */
const sameContents = (a: Replica, b: Replica) =>
  a.sizeBytes === b.sizeBytes && a.sha256 === b.sha256 && a.md5 === b.md5 && a.adler32 === b.adler32

function flawOfRow({ url, state, lastError: error }: Replica): string {
  if (state === 'on-media') return `its copy on tape has another size or checksum in the catalogue (${url})`
  return `its copy on tape is "${state}"${error === null ? '' : `: ${error}`} (${url})`
}

type Verified = Extract<Check, { kind: 'verified' }>

const isProvenOnMedia = (check: Check): check is Verified =>
  check.kind === 'verified' && check.onMedia && comparesContent(check.evidence)

/** Of the row, which states that the copy is on the medium. */
const isContradiction = (check: Check) =>
  check.kind === 'missing' || check.kind === 'different' || (check.kind === 'verified' && !check.onMedia)

function flawOf(check: Check): string {
  if (check.kind === 'verified') {
    if (!check.onMedia) return mediumAssumed(check) ?? "on the endpoint's disk buffer only"
    return `only reported, not verified (${check.by})`
  }
  return check.kind === 'missing' ? 'it is missing' : check.reason
}
