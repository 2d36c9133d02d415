/**
 * Brings a file's contents under its temporary name: the endpoint fetches them by itself, else they stream
 * through this process.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConflictError, CygnetError, TransientError } from '../../errors.ts'
import type { CopySource, TapeFile } from '../driver.ts'
import { refusal } from './answers.ts'
import type { Endpoint } from './endpoint.ts'
import { discard } from './http.ts'
import { type Found, inspect, sizeAt } from './inspect.ts'
import { putFile } from './put.ts'
import { type ThirdPartyOutcome, thirdPartyCopy } from './third-party.ts'

export interface Transfer {
  readonly how: 'third-party' | 'streamed'
  readonly bytesThroughUs: number
  readonly verifiedBy: string
}

interface Filling {
  readonly file: TapeFile
  readonly source: CopySource
  /** Address of the temporary. */
  readonly temporary: string
}

/** The link outlives the copy: an endpoint may open it again towards the end. */
const LINK_MARGIN_SECONDS = 300
const TIDY_MS = 10_000
/**
 * In the details of an error: what has the temporary name may still become a whole file, or be another's. It
 * is not removed.
 */
const KEEP_TEMPORARY = { keepTemporary: true } as const

/** The contents are under the temporary name, compared, when this returns. @throws as TapeDriver.copy. */
export async function fill(endpoint: Endpoint, filling: Filling, signal: AbortSignal): Promise<Transfer> {
  const { file, temporary } = filling
  await endpoint.folders.ensureAbove(file.name, signal)
  const leftover = await inspect(endpoint.http, { url: temporary, file, readBack: 'never' }, signal)
  // An earlier try may have ended well after it was given up.
  if (leftover.kind === 'same') return { how: 'streamed', bytesThroughUs: 0, verifiedBy: leftover.verifiedBy }
  if (leftover.kind !== 'absent') await remove(endpoint, temporary, signal)
  try {
    return (await pull(endpoint, filling, signal)) ?? (await stream(endpoint, filling, signal))
  } catch (error) {
    if (!(error instanceof CygnetError && error.details.keepTemporary === true))
      await tidy(endpoint, temporary)
    throw error
  }
}

/**
 * Third-party copy; null when the endpoint cannot, or gave other bytes: reading the source then shows who is
 * wrong.
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
  if (verdict.kind === 'arrived')
    return { how: 'third-party', bytesThroughUs: verdict.bytesRead, verifiedBy: verdict.verifiedBy }
  endpoint.log?.warn(
    { name: file.name, outcome: outcome.kind, reason: verdict.reason },
    'tape-third-party-failed',
  )
  if (verdict.kind === 'cannot') {
    endpoint.thirdParty.failed('pull')
    // Some say in this way that a folder is missing: one that was known may have been removed.
    endpoint.folders.forget()
    await endpoint.folders.ensureAbove(file.name, signal)
  }
  await remove(endpoint, temporary, signal)
  return null
}

type Verdict =
  | { readonly kind: 'arrived'; readonly verifiedBy: string; readonly bytesRead: number }
  | { readonly kind: 'cannot' | 'wrong'; readonly reason: string }

/**
 * What a third-party copy really brought. @throws TransientError when it failed in the middle, or nobody can
 * say.
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
      // The temporary was removed before: another copy of the same file made it anew.
      if ((await sizeAt(endpoint.http, temporary, signal)) === null)
        return { kind: 'cannot', reason: 'the endpoint answered 412' }
      throw new ConflictError(`another copy of ${file.name} is just being made`, KEEP_TEMPORARY)
    case 'unknown':
      await settle(endpoint, file, temporary, signal)
  }
  const found = await inspect(endpoint.http, { url: temporary, file, readBack: 'if-needed' }, signal)
  if (found.kind === 'same')
    return { kind: 'arrived', verifiedBy: found.verifiedBy, bytesRead: found.bytesRead }
  if (outcome.kind === 'unknown')
    throw new TransientError(`${failed}: ${outcome.reason}; ${describe(found)}`, KEEP_TEMPORARY)
  return { kind: 'wrong', reason: describe(found) }
}

const describe = (found: Exclude<Found, { readonly kind: 'same' }>) =>
  found.kind === 'absent' ? 'nothing is there' : found.reason

/** Waits until a file of unknown fate is whole, or does not grow any more. */
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
      // Without an answer, the copy may be whole all the same.
      if (error instanceof TransientError && error.details.reset === true) return error
      throw error
    },
  )
  const found = await inspect(endpoint.http, { url: temporary, file, readBack: 'if-needed' }, signal)
  if (found.kind === 'same')
    return { how: 'streamed', bytesThroughUs: file.sizeBytes, verifiedBy: found.verifiedBy }
  throw (
    connectionError ??
    new TransientError(`the endpoint took ${file.name} and has something else: ${describe(found)}`)
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
    // A folder that was there has been removed.
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

/** Removes a temporary of ours. @throws TransientError when the endpoint refuses. */
async function remove(endpoint: Endpoint, url: string, signal: AbortSignal): Promise<void> {
  const what = 'removing what an earlier try left'
  const answer = await endpoint.http.request({ method: 'DELETE', url, what }, signal)
  if (![200, 202, 204, 404, 410].includes(answer.status)) throw await refusal(answer, what)
  await discard(answer)
}

/** The same on the way out, also when the work was given up: what stays is replaced by the next try. */
export async function tidy(endpoint: Endpoint, url: string): Promise<void> {
  await remove(endpoint, url, AbortSignal.timeout(TIDY_MS)).catch((error: unknown) =>
    endpoint.log?.info({ error }, 'tape-temporary-left'),
  )
}
