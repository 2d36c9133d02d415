/**
 * What is believed of a copy: bad news only after a second look, and never while something else explains it.
 */

import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { CheckOptions } from '../../tape/driver.ts'
import { pause } from '../../time/pause.ts'
import { type Check, checkReplica } from './check-replica.ts'
import { bucketIsThere, newerVersion, statedOtherwise } from './doubts.ts'

export type ReadBack = CheckOptions['readBack']

export type Seen =
  | { readonly state: 'verified'; readonly by: string; readonly onMedia: boolean }
  | { readonly state: 'missing' }
  /** There, with other bytes than the run's. */
  | { readonly state: 'suspicious'; readonly detail: string }
  /** Nothing could be said. */
  | { readonly state: 'unknown'; readonly detail: string }

export interface LookedAt {
  readonly seen: Seen
  /** At most so many bytes were read for it. */
  readonly bytesRead: number
}

export interface VerifyOptions {
  /**
   * `always` reads the bytes; `if-needed` where the place states no digest; `never` trusts what is stated.
   */
  readonly readBack: ReadBack
  /** Between the first look that finds nothing and the second, milliseconds. */
  readonly secondLookMs?: number
}

const SECOND_LOOK_MS = 2000

/** @throws what passes with time: the place does not answer. */
export async function lookTwice(
  context: Context<'database' | 's3' | 'tape'>,
  replica: Replica,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<LookedAt> {
  let bytesRead = 0
  const look = async (readBack: ReadBack): Promise<Check> => {
    const { check, read } = await lookOnce(context, replica, readBack, signal)
    if (read) bytesRead += replica.sizeBytes
    return check
  }
  const believed = await believe(await look(options.readBack))
  return { seen: await explained(context, replica, believed, signal), bytesRead }

  async function believe(check: Check): Promise<Seen> {
    if (check.state === 'missing') {
      await pause(options.secondLookMs ?? SECOND_LOOK_MS, signal)
      signal.throwIfAborted()
      const second = await look(options.readBack)
      if (second.state === 'different')
        return contradictory('it was not there at the first look', second.detail)
      return seenIn(second)
    }
    if (check.state === 'different') {
      const second = await look('always')
      return second.state === 'missing'
        ? contradictory(check.detail, 'it was not there at the second look')
        : seenIn(second)
    }
    return seenIn(check)
  }
}

const contradictory = (first: string, second: string): Seen => ({
  state: 'unknown',
  detail: `two looks disagree: ${first}; ${second}`,
})

function seenIn(check: Check): Seen {
  return check.state === 'different' ? { state: 'suspicious', detail: check.detail } : check
}

/** Reads only where the cheaper look says nothing, so that what was read is known. */
async function lookOnce(
  context: Context<'s3' | 'tape'>,
  replica: Replica,
  readBack: ReadBack,
  signal: AbortSignal,
): Promise<{ readonly check: Check; readonly read: boolean }> {
  if (readBack !== 'always') {
    const stated = await checkReplica(context, replica, 'never', signal)
    if (stated.state !== 'unknown' || readBack === 'never') return { check: stated, read: false }
  }
  const check = await checkReplica(context, replica, readBack, signal)
  if (check.state !== 'unknown') return { check, read: check.state !== 'missing' }
  // Its bytes cannot be had now (it is on the medium only): what the place states is what can be known.
  return {
    check: readBack === 'always' ? await checkReplica(context, replica, 'never', signal) : check,
    read: false,
  }
}

/** What else may be behind it than the copy itself. */
async function explained(
  context: Context<'database' | 's3'>,
  replica: Replica,
  seen: Seen,
  signal: AbortSignal,
): Promise<Seen> {
  if (replica.kind === 'tape' || replica.kind === 'local') return seen
  switch (seen.state) {
    case 'missing':
      // To a store the absence of the whole bucket (another store, a wrong address) looks like the absence of
      // the object.
      if (await bucketIsThere(context.s3, replica.bucket, signal)) return seen
      return { state: 'unknown', detail: `the store has no bucket ${replica.bucket}: is it the right store?` }
    case 'suspicious':
      if (!(await newerVersion(context, replica, signal))) return seen
      return {
        state: 'unknown',
        detail: 'the store holds a newer version of the object, which is being catalogued',
      }
    case 'verified': {
      const detail = await statedOtherwise(context.database, replica)
      return detail === null ? seen : { state: 'suspicious', detail }
    }
    case 'unknown':
      return seen
  }
}
