/**
 * Writes a file's contents under its temporary name: the endpoint fetches them itself, or they are streamed
 * through this process.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConflictError, CygnetError, TransientError } from '../../errors.ts'
import type { ContentEvidence, CopySource, TapeFile } from '../driver.ts'
import type { Endpoint } from './endpoint.ts'
import { type Found, inspect, sizeAt } from './inspect.ts'
import { putFile } from './put.ts'
import { remove, tidy } from './remove.ts'
import { type ThirdPartyOutcome, thirdPartyCopy, throwMarked } from './third-party.ts'

export interface Transfer {
  readonly how: 'third-party' | 'streamed'
  readonly bytesThroughUs: number
  readonly verifiedBy: string
  readonly evidence: ContentEvidence
}

export interface Filling {
  readonly file: TapeFile
  readonly source: CopySource
  /** Whether the endpoint is asked to fetch the file itself. */
  readonly thirdParty: boolean
  /** URL of the temporary file. */
  readonly temporary: string
}

/** The link stays valid longer than the copy may take: an endpoint may open it again towards the end. */
const LINK_MARGIN_SECONDS = 300
/**
 * Error details: the temporary file may still become complete, or belong to another copy. It is not removed.
 */
const KEEP_TEMPORARY = { keepTemporary: true } as const

/** When this returns, the temporary file has the contents, compared. @throws as TapeDriver.copy. */
export async function fill(endpoint: Endpoint, filling: Filling, signal: AbortSignal): Promise<Transfer> {
  const { file, temporary } = filling
  await endpoint.folders.ensureAbove(file.name, signal)
  const leftover = await inspect(endpoint.http, { url: temporary, file, readBack: 'never' }, signal)
  // An earlier attempt may have completed after it was given up.
  if (leftover.kind === 'same') return transferOf(leftover, 'streamed', 0)
  if (leftover.kind !== 'absent') await remove(endpoint.http, temporary, signal)
  try {
    const pulled = filling.thirdParty ? await pull(endpoint, filling, signal).catch(throwMarked) : null
    return pulled ?? (await stream(endpoint, filling, signal))
  } catch (error) {
    if (!(error instanceof CygnetError && error.details.keepTemporary === true))
      await tidy(endpoint, temporary)
    throw error
  }
}

/**
 * Third-party copy. Null when the endpoint cannot do it or received other bytes: streaming the source then
 * shows whether the source or the transfer is at fault.
 */
async function pull(endpoint: Endpoint, filling: Filling, signal: AbortSignal): Promise<Transfer | null> {
  const { file, source, temporary } = filling
  if (!endpoint.thirdParty.isWorthTrying('pull')) return null
  const { copySeconds, silenceSeconds, progressSeconds } = endpoint.limits
  const outcome = await thirdPartyCopy(
    endpoint.http,
    {
      direction: 'pull',
      url: temporary,
      link: await source.presign(copySeconds + LINK_MARGIN_SECONDS),
      what: `the third-party copy of ${file.name}`,
      silenceMs: silenceSeconds * 1000,
    },
    { progressMs: progressSeconds * 1000, now: endpoint.now },
    signal,
  )
  const verdict = await judge(endpoint, filling, outcome, signal)
  if (verdict.kind === 'same') return transferOf(verdict, 'third-party', verdict.bytesRead)
  endpoint.log?.warn(
    { name: file.name, outcome: outcome.kind, reason: verdict.reason },
    'tape-third-party-failed',
  )
  if (verdict.kind === 'cannot') {
    endpoint.thirdParty.failed('pull')
    // Some endpoints report a missing folder this way: a known folder may have been removed.
    endpoint.folders.forget()
    await endpoint.folders.ensureAbove(file.name, signal)
  }
  await remove(endpoint.http, temporary, signal)
  return null
}

type Same = Extract<Found, { kind: 'same' }>
const transferOf = (
  { verifiedBy, evidence }: Same,
  how: Transfer['how'],
  bytesThroughUs: number,
): Transfer => ({ how, bytesThroughUs, verifiedBy, evidence })

type Verdict = Same | { readonly kind: 'cannot' | 'wrong'; readonly reason: string }

/**
 * The verified result of a third-party copy. @throws TransientError when it failed during the transfer, or
 * its outcome is unknown.
 */
async function judge(
  endpoint: Endpoint,
  filling: Filling,
  outcome: ThirdPartyOutcome,
  signal: AbortSignal,
): Promise<Verdict> {
  const { file, temporary } = filling
  const failed = `the third-party copy of ${file.name} failed`
  switch (outcome.kind) {
    case 'unsupported':
      return { kind: 'cannot', reason: outcome.reason }
    case 'failure':
      if (outcome.bytesMoved > 0) throw new TransientError(`${failed}: ${outcome.reason}`)
      return { kind: 'cannot', reason: outcome.reason }
    case 'exists':
      // The temporary file was removed before: another copy of the same file created it again.
      if ((await sizeAt(endpoint.http, temporary, signal)) === null)
        return { kind: 'cannot', reason: 'the endpoint answered 412' }
      throw new ConflictError(`another copy of ${file.name} is in progress`, KEEP_TEMPORARY)
    case 'unknown':
      await settle(endpoint, file, temporary, signal)
  }
  const found = await inspect(endpoint.http, { url: temporary, file, readBack: 'if-needed' }, signal)
  if (found.kind === 'same') return found
  if (outcome.kind === 'unknown')
    throw new TransientError(`${failed}: ${outcome.reason}; ${describe(found)}`, KEEP_TEMPORARY)
  return { kind: 'wrong', reason: describe(found) }
}

const describe = (found: Exclude<Found, { readonly kind: 'same' }>) =>
  found.kind === 'absent' ? 'nothing is there' : found.reason

/** Waits until a file of unknown outcome is complete or has stopped growing. */
async function settle(endpoint: Endpoint, file: TapeFile, url: string, signal: AbortSignal): Promise<void> {
  let before: number | null | undefined
  for (;;) {
    const size = await sizeAt(endpoint.http, url, signal)
    if (size === file.sizeBytes || size === before) return
    before = size
    await sleep(endpoint.limits.settleSeconds * 1000, undefined, { signal })
  }
}

async function stream(endpoint: Endpoint, filling: Filling, signal: AbortSignal): Promise<Transfer> {
  const { file, temporary } = filling
  const connectionError = await put(endpoint, filling, signal).then(
    () => null,
    (error: unknown) => {
      signal.throwIfAborted()
      // Although the answer was lost, the copy may be complete.
      if (error instanceof TransientError && error.details.reset === true) return error
      throw error
    },
  )
  const found = await inspect(endpoint.http, { url: temporary, file, readBack: 'if-needed' }, signal)
  if (found.kind === 'same') return transferOf(found, 'streamed', file.sizeBytes)
  throw (
    connectionError ??
    new TransientError(`the endpoint accepted ${file.name} and has other contents: ${describe(found)}`)
  )
}

async function put(
  endpoint: Endpoint,
  { file, source, temporary }: Filling,
  signal: AbortSignal,
): Promise<void> {
  const copy = { url: temporary, file, source }
  try {
    await putFile(endpoint.http, copy, signal)
  } catch (error) {
    // A folder of the path has been removed.
    if (
      !(error instanceof TransientError) ||
      (error.details.httpStatus !== 409 && error.details.httpStatus !== 404)
    )
      throw error
    endpoint.folders.forget()
    await endpoint.folders.ensureAbove(file.name, signal)
    await putFile(endpoint.http, copy, signal)
  }
}
