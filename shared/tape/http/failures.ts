/** Failed connections as errors that a person can act on, and external texts made safe to show. */
import { TransientError } from '../../errors.ts'
import { withoutSecrets } from '../../log.ts'
import { cutText, wellFormed } from '../../text.ts'

const MOST_SHOWN = 300

/**
 * A connection that failed before an answer arrived. `reset` in the details: an established connection was
 * broken off.
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
  SILENCE: 'the endpoint stopped answering',
  CONNECT_TIMEOUT: 'the endpoint cannot be reached (no answer to the connection)',
  ECONNREFUSED: 'the endpoint refuses connections (is it running?)',
  ENOTFOUND: 'the host of the endpoint is not known',
  HPE_INVALID_CONSTANT: 'the server there does not speak HTTP',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not from a trusted authority (CYGNET_TAPE_CA_FILE)',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not from a trusted authority (CYGNET_TAPE_CA_FILE)',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not from a trusted authority (CYGNET_TAPE_CA_FILE)',
  CERT_HAS_EXPIRED: 'its certificate has expired',
}

/**
 * Query parameters that grant access, in plain links, in links inside HTML or other links, and in fragments
 * of links.
 */
const SECRET_PARAMETERS =
  /((?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId|authz|access_token)(?:=|%3D))[^&\s"'<>\\]*/gi
const QUERY = /\b([a-z][a-z0-9+.-]*:\/\/[^\s?"'<>]*)\?[^\s"'<>]*/gi
const JSON_WEB_TOKEN = /\beyJ[\w-]+\.[\w-]+\.[\w-]*/g

/**
 * A text from outside made safe to show in an error: one line, without markup and control characters,
 * shortened, without the queries of links (they may be signed), tokens and the given secrets (an endpoint may
 * repeat the link it was to fetch from).
 */
export function shown(text: string, secrets: readonly string[] = []): string {
  const bare = secrets
    .filter((secret) => secret !== '')
    .reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
  return cutText(
    wellFormed(
      withoutSecrets(bare)
        .replace(QUERY, '$1?***')
        .replace(SECRET_PARAMETERS, '$1***')
        .replace(JSON_WEB_TOKEN, '***')
        .replace(/<[^<>]*>/g, ' ')
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
        .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')
        .trim(),
    ),
    MOST_SHOWN,
  )
}
