/**
 * Authenticates S3 requests: checks the signature, version 4, in the Authorization header or presigned in the
 * address ("Authenticating Requests (AWS Signature Version 4)", Amazon S3 API reference).
 *
 * s3rver accepts unsigned requests, and signs a path without its trailing slash, so that it refuses MinIO's client.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import S3Error from '@20minutes/s3rver/lib/models/error.js'
import type { Credentials } from './settings.ts'

const ALGORITHM = 'AWS4-HMAC-SHA256'
const LARGEST_SKEW_MS = 15 * 60 * 1000
const LONGEST_EXPIRY_SECONDS = 7 * 24 * 3600

interface Claim {
  readonly credential: string
  readonly signedHeaders: readonly string[]
  readonly signature: string
  /** In the form yyyyMMddTHHmmssZ. */
  readonly time: string
  readonly payload: string
  /** Null when signed by the header. */
  readonly expiresSeconds: number | null
}

/**
 * Returns when the request is signed with these credentials, at this time.
 * @throws S3Error with the codes of S3: AccessDenied, SignatureDoesNotMatch, InvalidAccessKeyId,
 * RequestTimeTooSkewed …
 */
export function verifySignature(
  request: IncomingMessage,
  options: { readonly credentials: Credentials; readonly now: Date },
): void {
  const [path = '/', query = ''] = split(request.url ?? '/', '?')
  const parameters = parseQuery(query)
  const claim = readClaim(request, parameters)
  const [accessKeyId, date, region, service, end] = claim.credential.split('/')
  if (!same(accessKeyId ?? '', options.credentials.accessKeyId))
    throw new S3Error(
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
      {
        AWSAccessKeyId: accessKeyId,
      },
    )
  if (
    date === undefined ||
    region === undefined ||
    service === undefined ||
    end !== 'aws4_request' ||
    !claim.time.startsWith(date)
  )
    throw malformed()
  checkTime(claim, options.now)

  const canonical = [
    request.method,
    path.split('/').map(recode).join('/'),
    canonicalQuery(parameters),
    ...claim.signedHeaders.map((name) => `${name}:${headerValue(request, name)}`),
    '',
    claim.signedHeaders.join(';'),
    claim.payload,
  ].join('\n')
  // Node decodes header values as latin1, one character a byte: hashing them as latin1 hashes the sent bytes.
  const canonicalHash = createHash('sha256').update(canonical, 'latin1').digest('hex')
  const toSign = [ALGORITHM, claim.time, [date, region, service, end].join('/'), canonicalHash].join('\n')
  const key = signingKey(options.credentials.secretAccessKey, [date, region, service, end])
  if (!same(claim.signature, createHmac('sha256', key).update(toSign).digest('hex')))
    throw new S3Error(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    )
}

let lastKey: { readonly of: string; readonly key: Buffer } | null = null

/** The key of a day, region and service; the last one is cached, since clients use the same one all day. */
function signingKey(secret: string, scope: readonly string[]): Buffer {
  const of = [secret, ...scope].join('/')
  if (lastKey?.of === of) return lastKey.key
  const key = scope.reduce<Buffer>(
    (key, part) => createHmac('sha256', key).update(part).digest(),
    Buffer.from(`AWS4${secret}`),
  )
  lastKey = { of, key }
  return key
}

function readClaim(request: IncomingMessage, parameters: readonly (readonly [string, string])[]): Claim {
  const { headers } = request
  const get = (name: string) => parameters.find(([given]) => given === name)?.[1]
  if (headers.authorization !== undefined) {
    const fields =
      /^AWS4-HMAC-SHA256\s+Credential=([^,\s]+)\s*,\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]{64})$/.exec(
        headers.authorization,
      )
    const [, credential, signedHeaders, signature] = fields ?? []
    const [time, payload] = [headers['x-amz-date'], headers['x-amz-content-sha256']]
    if (!headers.authorization.startsWith(ALGORITHM))
      throw new S3Error(
        'InvalidRequest',
        `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.`,
      )
    if (
      credential === undefined ||
      signedHeaders === undefined ||
      signature === undefined ||
      typeof time !== 'string' ||
      typeof payload !== 'string'
    )
      throw malformed()
    return {
      credential,
      signedHeaders: signedHeaders.split(';'),
      signature,
      time,
      payload,
      expiresSeconds: null,
    }
  }
  if (get('X-Amz-Algorithm') === undefined) throw new S3Error('AccessDenied', 'Access Denied')
  const [credential, signedHeaders, signature] = [
    get('X-Amz-Credential'),
    get('X-Amz-SignedHeaders'),
    get('X-Amz-Signature'),
  ]
  const [time, expires] = [get('X-Amz-Date'), Number(get('X-Amz-Expires'))]
  const wrong =
    credential === undefined || signedHeaders === undefined || signature === undefined || time === undefined
  if (wrong || get('X-Amz-Algorithm') !== ALGORITHM || !(expires > 0 && expires <= LONGEST_EXPIRY_SECONDS))
    throw new S3Error(
      'AuthorizationQueryParametersError',
      'Query-string authentication version 4 requires valid X-Amz-* parameters',
    )
  const payload = get('X-Amz-Content-Sha256') ?? 'UNSIGNED-PAYLOAD'
  return {
    credential,
    signedHeaders: signedHeaders.split(';'),
    signature,
    time,
    payload,
    expiresSeconds: expires,
  }
}

function checkTime(claim: Claim, now: Date): void {
  const time = Date.parse(
    claim.time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'),
  )
  if (Number.isNaN(time)) throw malformed()
  const age = now.getTime() - time
  if (claim.expiresSeconds === null ? Math.abs(age) > LARGEST_SKEW_MS : -age > LARGEST_SKEW_MS)
    throw new S3Error(
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
      {
        ServerTime: now.toISOString(),
      },
    )
  if (claim.expiresSeconds !== null && age > claim.expiresSeconds * 1000)
    throw new S3Error('AccessDenied', 'Request has expired', {
      'X-Amz-Expires': claim.expiresSeconds,
      ServerTime: now.toISOString(),
    })
}

function malformed(): S3Error {
  return new S3Error(
    'AuthorizationHeaderMalformed',
    'The authorization header that you provided is not valid.',
  )
}

function same(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function split(text: string, at: string): readonly [string, string] {
  const index = text.indexOf(at)
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + at.length)]
}

function parseQuery(query: string): readonly (readonly [string, string])[] {
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => split(part, '='))
    .map(([name, value]) => [decode(name), decode(value)] as const)
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new S3Error('InvalidURI', "Couldn't parse the specified URI.")
  }
}

/**
 * Percent-encoding for signatures, whatever the encoding in the request: all characters except A-Z a-z 0-9 - . _ ~
 */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function recode(part: string): string {
  return encode(decode(part))
}

function canonicalQuery(parameters: readonly (readonly [string, string])[]): string {
  const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  return parameters
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

function headerValue(request: IncomingMessage, name: string): string {
  const value = request.headers[name]
  if (value === undefined)
    throw new S3Error(
      'AccessDenied',
      `There were headers signed which are not present in the request: ${name}`,
    )
  return (Array.isArray(value) ? value.join(',') : value).trim().replace(/ +/g, ' ')
}
