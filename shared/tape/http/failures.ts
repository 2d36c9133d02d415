/** Failed connections as errors a person can act on, and words from outside as they may be shown. */
import { TransientError } from '../../errors.ts'
import { withoutSecrets } from '../../log.ts'

const MOST_SHOWN = 300

/**
 * A connection that failed before the answer was there. `reset` in the details: it broke off, where it had
 * stood.
 */
export function lostConnection(host: string, what: string, error: unknown): TransientError {
  const { code = 'unknown', message = '' } = (error ?? {}) as {
    readonly code?: string
    readonly message?: string
  }
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

/**
 * What gives access, in links as they stand, in those an HTML page or another link holds, and in rests of
 * them.
 */
const SECRET_PARAMETERS =
  /((?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId|authz|access_token)(?:=|%3D))[^&\s"'<>\\]*/gi
const QUERY = /\b([a-z][a-z0-9+.-]*:\/\/[^\s?"'<>]*)\?[^\s"'<>]*/gi
const JSON_WEB_TOKEN = /\beyJ[\w-]+\.[\w-]+\.[\w-]*/g

/**
 * A text from outside as it may stand in an error: one line, without tags and control characters, cut,
 * without the queries of links (they may be signed), tokens, and the secrets given (an endpoint may repeat
 * the link it was to fetch from).
 */
export function shown(text: string, secrets: readonly string[] = []): string {
  const bare = secrets
    .filter((secret) => secret !== '')
    .reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
  return (
    withoutSecrets(bare)
      .replace(QUERY, '$1?***')
      .replace(SECRET_PARAMETERS, '$1***')
      .replace(JSON_WEB_TOKEN, '***')
      .replace(/<[^<>]*>/g, ' ')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
      .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')
      .trim()
      .slice(0, MOST_SHOWN)
  )
}
