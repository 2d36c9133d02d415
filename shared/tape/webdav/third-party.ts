/**
 * HTTP third-party copy: the endpoint itself fetches from, or sends to, a presigned link, and reports its
 * progress.
 */

import { TransientError } from '../../errors.ts'
import type { Answer } from '../http/exchange.ts'
import { shown } from '../http/failures.ts'
import { refusal } from './answers.ts'
import { discard, type TapeHttp } from './http.ts'
import { type Ending, type MarkerOptions, readMarkers } from './markers.ts'

/** An endpoint that is busy, in maintenance or full, or a proxy without it: no copy was begun. */
const REFUSALS_OF_ALL = new Set<unknown>([401, 429, 502, 503, 504, 507])

/**
 * Rethrows an error, marked with `thirdParty` when it ended a third-party copy or that took too long. One that
 * kept the request from reaching the endpoint, with which the endpoint refuses all work, or of a caller that was
 * stopped, is no failure of the copy.
 */
export function throwMarked(error: unknown): never {
  const isTimeOut = error instanceof Error && error.name === 'TimeoutError'
  const details = error instanceof TransientError ? error.details : isTimeOut ? {} : null
  const isConnected = details?.error === undefined || details.reset === true || details.error === 'SILENCE'
  if (details === null || !isConnected || REFUSALS_OF_ALL.has(details.httpStatus)) throw error
  throw new TransientError((error as Error).message, { ...details, thirdParty: true }, { cause: error })
}

export type ThirdPartyOutcome =
  /** The endpoint reports success. The caller verifies it. */
  | { readonly kind: 'success' }
  /** The outcome is unknown; the copy may still be in progress. */
  | { readonly kind: 'unknown'; readonly reason: string }
  | { readonly kind: 'failure'; readonly reason: string; readonly bytesMoved: number }
  /** The endpoint does not support this, or not for us. */
  | { readonly kind: 'unsupported'; readonly reason: string }
  /** The destination's name is already taken. */
  | { readonly kind: 'exists' }

export interface ThirdPartyRequest {
  readonly direction: 'pull' | 'push'
  /** The file at the endpoint: the destination for `pull`, the source for `push`. */
  readonly url: string
  /** The presigned link of the other side. */
  readonly link: string
  readonly what: string
  /** How long the endpoint may send nothing at all. Markers arrive about every 5 s. */
  readonly silenceMs: number
}

/**
 * Requests the copy and follows it to its end.
 *
 * `RequireChecksumVerification: false`: an object store states no checksum during the copy, and an endpoint
 * that insists on one (dCache) would refuse; what arrived is compared afterwards. `Credential: none`: the
 * link contains all the access that the endpoint needs.
 * @throws TransientError when the endpoint answers with an internal error or cannot be reached; the signal's
 * reason.
 */
export async function thirdPartyCopy(
  http: TapeHttp,
  request: ThirdPartyRequest,
  markers: MarkerOptions,
  signal: AbortSignal,
): Promise<ThirdPartyOutcome> {
  const { direction, url, link, what, silenceMs } = request
  const headers = {
    [direction === 'pull' ? 'Source' : 'Destination']: link,
    Credential: 'none',
    // Pull: only if the name is free. Push: the link allows one PUT, which replaces what an earlier attempt
    // left there.
    Overwrite: direction === 'pull' ? 'F' : 'T',
    RequireChecksumVerification: 'false',
  }
  const answer = await http.request({ method: 'COPY', url, what, headers, silenceMs }, signal)
  const secrets = secretsOf(link)
  if (answer.status === 200 || answer.status === 201 || answer.status === 202 || answer.status === 204)
    return outcomeOf(answer, await endingOf(answer, markers, signal), secrets)
  if (direction === 'pull' && answer.status === 412) {
    await discard(answer)
    return { kind: 'exists' }
  }
  const failure = await refusal(answer, what, secrets)
  const isRedirect = answer.status >= 300 && answer.status < 400
  if (isRedirect || [400, 403, 405, 415, 501].includes(answer.status))
    return { kind: 'unsupported', reason: failure.message }
  // A missing parent or source, or a conflict: nothing was started.
  if ([404, 409, 412].includes(answer.status))
    return { kind: 'failure', reason: failure.message, bytesMoved: 0 }
  throw failure
}

async function endingOf(answer: Answer, markers: MarkerOptions, signal: AbortSignal): Promise<Ending> {
  try {
    return await readMarkers(answer.body, markers)
  } catch (error) {
    signal.throwIfAborted()
    const { message } = error as Error
    return {
      kind: 'unknown',
      text: `the connection was lost in the middle of the copy (${shown(message)})`,
      bytesMoved: 0,
    }
  } finally {
    // If the copy is still running, this informs the endpoint that we no longer wait for it.
    answer.body.destroy()
  }
}

function outcomeOf(answer: Answer, ending: Ending, secrets: readonly string[]): ThirdPartyOutcome {
  if (ending.kind === 'success') return { kind: 'success' }
  const text = shown(ending.text, secrets)
  if (ending.kind === 'failure')
    return { kind: 'failure', reason: `${answer.url.host}: ${text}`, bytesMoved: ending.bytesMoved }
  return { kind: 'unknown', reason: `${answer.url.host}: ${text}` }
}

/** The parts of a link that must not be repeated: the whole link, and its query, which grants access. */
function secretsOf(link: string): readonly string[] {
  const query = link.indexOf('?')
  return query === -1 ? [link] : [link, link.slice(query)]
}
