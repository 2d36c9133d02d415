/**
 * HTTP third-party copy: the endpoint fetches from, or sends to, a presigned link by itself, and tells how it
 * goes.
 */

import type { Answer } from '../http/exchange.ts'
import { shown } from '../http/failures.ts'
import { refusal } from './answers.ts'
import { discard, type TapeHttp } from './http.ts'
import { type Ending, type MarkerOptions, readMarkers } from './markers.ts'

export type ThirdPartyOutcome =
  /** It says that all went well. Whoever asked looks whether that is so. */
  | { readonly kind: 'success' }
  /** Nobody can say without looking; it may still be at work. */
  | { readonly kind: 'unknown'; readonly reason: string }
  | { readonly kind: 'failure'; readonly reason: string; readonly bytesMoved: number }
  /** It does not do this, or not for us. */
  | { readonly kind: 'unsupported'; readonly reason: string }
  /** Something has the name it was to write to. */
  | { readonly kind: 'exists' }

export interface ThirdPartyRequest {
  readonly direction: 'pull' | 'push'
  /** The file at the endpoint: where to for `pull`, where from for `push`. */
  readonly url: string
  /** The presigned link of the other side. */
  readonly link: string
  readonly what: string
  /** How long the endpoint may send nothing at all. Markers come every 5 s or so. */
  readonly silenceMs: number
}

/**
 * Asks for the copy and follows it to its end.
 *
 * `RequireChecksumVerification: false`: an object store states no checksum to compare with while copying, and
 * an endpoint that insists (dCache) would refuse; what arrived is compared afterwards. `Credential: none`:
 * the link is all the endpoint needs.
 * @throws TransientError when the endpoint answers with a fault of its own or cannot be reached; the signal's
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
    // Pulled: only under a name nobody has. Pushed: a link for one PUT replaces what an earlier try left
    // there.
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
  // A missing parent or source, a conflict: nothing was begun.
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
    // Where the copy still runs, this is what tells the endpoint that nobody waits for it any more.
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

/** What of a link must not be repeated: the whole, and its query, which is what gives access. */
function secretsOf(link: string): readonly string[] {
  const query = link.indexOf('?')
  return query === -1 ? [link] : [link, link.slice(query)]
}
