/** What endpoints answer when something is wrong, as errors a person can act on. Nothing of a link or token gets in. */

import { TransientError } from '../../errors.ts'
import { withoutSecrets } from '../../log.ts'
import type { Answer } from './exchange.ts'

const MOST_TEXT_BYTES = 4096
const MOST_SHOWN = 300

/** A connection that failed before the answer was there. `reset` in the details: it broke off, where it had stood. */
export function lostConnection(host: string, what: string, error: unknown): TransientError {
  const { code = 'unknown', message = '' } = (error ?? {}) as { readonly code?: string; readonly message?: string }
  const reset = ['ECONNRESET', 'EPIPE'].includes(code)
  const sentence = SENTENCES[code] ?? `the connection failed (${shown(message === '' ? code : message)})`
  return new TransientError(`${host}: ${what}: ${sentence}`, { error: code, reset }, { cause: error })
}

const SENTENCES: Readonly<Record<string, string>> = {
  ECONNRESET: 'the endpoint closed the connection without an answer',
  EPIPE: 'the endpoint closed the connection without an answer',
  SILENCE: 'the endpoint does not answer any more',
  CONNECT_TIMEOUT: 'the endpoint cannot be reached (no answer to the connection)',
  ECONNREFUSED: 'the endpoint refuses connections (is it running?)',
  ENOTFOUND: 'the host of the endpoint is not known',
  HPE_INVALID_CONSTANT: 'what answers there does not speak HTTP',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is from no authority we trust (CYGNET_TAPE_CA_FILE)',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is from no authority we trust (CYGNET_TAPE_CA_FILE)',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is from no authority we trust (CYGNET_TAPE_CA_FILE)',
  CERT_HAS_EXPIRED: 'its certificate has expired',
}

/** An answer that is not the one needed, as an error: the status, and what the endpoint says about it. Reads its body. */
export async function refusal(answer: Answer, what: string, secrets: readonly string[] = []): Promise<TransientError> {
  const said = shown(await textOf(answer), secrets)
  const { status } = answer
  const details = { httpStatus: status, ...(status === 401 || status === 403 ? { operator: true } : {}) }
  const meaning = MEANINGS[status]
  return new TransientError(
    `${answer.url.host} answered ${status}${meaning === undefined ? '' : ` (${meaning})`} to ${what}${said === '' ? '' : `: ${said}`}`,
    details,
  )
}

const MEANINGS: Readonly<Record<number, string>> = {
  401: 'it does not accept our token',
  403: 'our token does not allow this',
  404: 'not there',
  413: 'too large for what it allows',
  423: 'locked',
  429: 'too many requests',
  500: 'a fault of its own',
  502: 'what stands behind it does not answer',
  503: 'busy or in maintenance',
  504: 'what stands behind it does not answer in time',
  507: 'no room is left there',
}

/** The beginning of a body as text; empty when it cannot be read. A problem document (RFC 9457) gives its title and detail. */
async function textOf(answer: Answer): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of answer.body) {
      chunks.push(chunk)
      length += chunk.length
      if (length >= MOST_TEXT_BYTES) break
    }
  } catch {
    // what came is all there is
  }
  const text = Buffer.concat(chunks).subarray(0, MOST_TEXT_BYTES).toString('utf8')
  if (answer.header('content-type')?.includes('json') !== true) return text
  try {
    const { title, detail, message } = JSON.parse(text)
    return [title, detail, message].filter((part) => typeof part === 'string').join(': ')
  } catch {
    return text
  }
}

/**
 * A text from outside as it may stand in an error: one line, without tags and control characters, cut, and without the secrets
 * given (an endpoint may repeat the link it was to fetch from).
 */
export function shown(text: string, secrets: readonly string[] = []): string {
  const bare = secrets.filter((secret) => secret !== '').reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
  return (
    withoutSecrets(bare)
      .replace(/<[^<>]*>/g, ' ')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
      .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')
      .trim()
      .slice(0, MOST_SHOWN)
  )
}
