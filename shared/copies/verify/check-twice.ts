/**
 * A copy is found missing or suspicious only after a second check, and never while another cause explains it.
 */

import type { Context } from '../../context.ts'
import type { Evidence, Replica } from '../../database/replica-schema.ts'
import { bucketExists } from '../../storage/bucket-exists.ts'
import type { CheckOptions } from '../../tape/driver.ts'
import { pause } from '../../time/pause.ts'
import { type Check, checkReplica } from './check-replica.ts'
import { hasNewerVersion, statedMismatch } from './other-causes.ts'

export type ReadBack = CheckOptions['readBack']

export type Finding =
  | {
      readonly kind: 'verified'
      readonly evidence: Evidence
      readonly by: string
      readonly onMedia: boolean
    }
  | { readonly kind: 'missing'; readonly evidence: Evidence }
  /** It exists, with other bytes than the run's. */
  | { readonly kind: 'suspicious'; readonly evidence: Evidence; readonly reason: string }
  /** It is on tape only, and has to be staged to be compared. */
  | { readonly kind: 'unproven'; readonly reason: string }
  /** It could not be checked. */
  | { readonly kind: 'unknown'; readonly reason: string }

export interface CheckedCopy {
  readonly finding: Finding
  /** Upper limit of the bytes read for it. */
  readonly bytesRead: number
}

export interface VerifyOptions {
  /**
   * `always` reads the bytes; `if-needed` reads where the place states no digest; `never` relies on what is
   * stated.
   */
  readonly readBack: ReadBack
  /**
   * The explicit order to bring a copy that is on tape only to the endpoint's disk and to read it back, asking
   * the endpoint again after `pollMs`. Without it nothing is staged.
   */
  readonly stage?: { readonly pollMs?: number }
  /** Between a first check that does not find the copy and the second, milliseconds. */
  readonly secondCheckMs?: number
}

const SECOND_CHECK_MS = 2000

/** @throws what passes with time: the place does not answer. */
export async function checkTwice(
  context: Context<'database' | 's3' | 'tape'>,
  replica: Replica,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<CheckedCopy> {
  let bytesRead = 0
  const runCheck = async (readBack: ReadBack): Promise<Check> => {
    const { check, read } = await checkOnce(context, replica, readBack, signal)
    if (read) bytesRead += replica.sizeBytes
    return check
  }
  const confirmed = await confirm(await runCheck(options.readBack))
  return { finding: await excludeOtherCauses(context, replica, confirmed, signal), bytesRead }

  async function confirm(check: Check): Promise<Finding> {
    if (check.kind === 'missing') {
      await pause(options.secondCheckMs ?? SECOND_CHECK_MS, signal)
      signal.throwIfAborted()
      const second = await runCheck(options.readBack)
      if (second.kind === 'different')
        return contradictory('it was missing in the first check', second.reason)
      return findingOf(second)
    }
    if (check.kind === 'different') {
      const second = await runCheck('always')
      return second.kind === 'missing'
        ? contradictory(check.reason, 'it was missing in the second check')
        : findingOf(second)
    }
    return findingOf(check)
  }
}

const contradictory = (first: string, second: string): Finding => ({
  kind: 'unknown',
  reason: `two checks disagree: ${first}; ${second}`,
})

function findingOf(check: Check): Finding {
  return check.kind === 'different' ? { ...check, kind: 'suspicious' } : check
}

/** Reads only where the check without reading gives no result, so that the bytes read are counted. */
async function checkOnce(
  context: Context<'s3' | 'tape'>,
  replica: Replica,
  readBack: ReadBack,
  signal: AbortSignal,
): Promise<{ readonly check: Check; readonly read: boolean }> {
  if (readBack !== 'always') {
    const stated = await checkReplica(context, replica, 'never', signal)
    if (!isWithoutResult(stated) || readBack === 'never') return { check: stated, read: false }
  }
  const check = await checkReplica(context, replica, readBack, signal)
  if (!isWithoutResult(check)) return { check, read: check.kind !== 'missing' }
  if (readBack !== 'always') return { check, read: false }
  // Its bytes cannot be read now (it is on the medium only), so what the place states has to do.
  const stated = await checkReplica(context, replica, 'never', signal)
  return { check: isWithoutResult(stated) ? check : stated, read: false }
}

const isWithoutResult = ({ kind }: Check) => kind === 'unknown' || kind === 'unproven'

/** Rules out causes other than the copy itself. */
async function excludeOtherCauses(
  context: Context<'database' | 's3'>,
  replica: Replica,
  finding: Finding,
  signal: AbortSignal,
): Promise<Finding> {
  if (replica.kind === 'tape' || replica.kind === 'local') return finding
  switch (finding.kind) {
    case 'missing':
      // A store answers a missing bucket (another store, a wrong address) like a missing object.
      if (await bucketExists(context.s3, replica.bucket, signal)) return finding
      return { kind: 'unknown', reason: `the store has no bucket ${replica.bucket}: is it the right store?` }
    case 'suspicious':
      if (!(await hasNewerVersion(context, replica, signal))) return finding
      return {
        kind: 'unknown',
        reason: 'the store holds a newer version of the object, which is being catalogued',
      }
    case 'verified': {
      const reason = await statedMismatch(context.database, replica)
      // The bytes were read when they were catalogued, and what was stated for them disagrees since.
      return reason === null ? finding : { kind: 'suspicious', evidence: 'read', reason }
    }
    case 'unproven':
    case 'unknown':
      return finding
  }
}
