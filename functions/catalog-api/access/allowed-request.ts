/**
 * Which requests to the store are signed for the holder of a token: only those that send a run of one of its
 * tags. Every allowed part of a request is listed here; anything else is refused. The signature covers each
 * of these parts, so that none can be removed or changed afterwards.
 */
import { allows } from '../../../shared/access/scopes.ts'
import { parseRunKey } from '../../../shared/run.ts'
import { cutText } from '../../../shared/text.ts'
import { refusal } from '../http/problem.ts'

/** A request to the store as it will be sent: path encoded, query values not encoded. */
export interface RequestToSign {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
}

export interface SigningRules {
  readonly buckets: readonly string[]
  readonly scopes: readonly string[]
  /** Host and port of the store, as in the Host header. */
  readonly host: string
  /** Path of the store's address before the bucket: empty, or `/minio`. */
  readonly basePath: string
}

export type Operation =
  | 'HeadBucket'
  | 'HeadObject'
  | 'PutObject'
  | 'CreateMultipartUpload'
  | 'UploadPart'
  | 'ListParts'
  | 'CompleteMultipartUpload'
  | 'AbortMultipartUpload'

interface Form {
  readonly operation: Operation
  readonly method: string
  readonly needs: readonly string[]
  readonly may?: readonly string[]
  /** Creates an object under the key. */
  readonly creates?: true
}

const FORMS: readonly Form[] = [
  { operation: 'HeadObject', method: 'HEAD', needs: [] },
  { operation: 'PutObject', method: 'PUT', needs: [], creates: true },
  { operation: 'CreateMultipartUpload', method: 'POST', needs: ['uploads'] },
  { operation: 'UploadPart', method: 'PUT', needs: ['partNumber', 'uploadId'] },
  { operation: 'ListParts', method: 'GET', needs: ['uploadId'], may: ['max-parts', 'part-number-marker'] },
  { operation: 'CompleteMultipartUpload', method: 'POST', needs: ['uploadId'], creates: true },
  { operation: 'AbortMultipartUpload', method: 'DELETE', needs: ['uploadId'] },
]

const QUERY_VALUES: Readonly<Record<string, RegExp>> = {
  uploads: /^$/,
  uploadId: /^[\x21-\x7e]{1,1024}$/,
  partNumber: /^(?:[1-9]\d{0,3}|10000)$/,
  'max-parts': /^\d{1,4}$/,
  'part-number-marker': /^\d{1,5}$/,
}

const HEADER_VALUES = new Map<string, RegExp>(
  Object.entries({
    'content-length': /^\d{1,13}$/,
    'content-md5': /^[A-Za-z0-9+/]{22}==$/,
    'content-type': /^[\w.+/;= -]{1,100}$/,
    'if-none-match': /^\*$/,
    'x-amz-checksum-mode': /^ENABLED$/,
    'x-amz-content-sha256': /^(?:[0-9a-f]{64}|UNSIGNED-PAYLOAD)$/,
  }),
)
/** Excludes the headers that make MinIO unpack an archive. */
const METADATA_NAME = /^x-amz-meta-(?!(?:minio-)?snowball-)[a-z0-9-]{1,64}$/
const METADATA_VALUE = /^[\x20-\x7e]{0,512}$/

/** The operation of the request. @throws a 403 problem that states what is not allowed. */
export function allowedRequest(
  request: RequestToSign,
  rules: SigningRules,
): { readonly operation: Operation; readonly bucket: string; readonly key: string | null } {
  const { bucket, key } = placeOf(request.path, rules.basePath)
  if (!rules.buckets.includes(bucket)) throw refusal(403, `"${bucket}" is not a bucket of runs`)
  checkHeaders(request.headers, rules.host)
  if (key === '') {
    if (request.method !== 'HEAD' || Object.keys(request.query).length > 0)
      throw refusal(403, 'the only request allowed for a bucket itself is whether it exists')
    return { operation: 'HeadBucket', bucket, key: null }
  }
  const { operation, creates } = formOf(request)
  const run = parseRunKey(key)
  if (run === null) throw refusal(403, `"${key}" is not the key of a run, such as LNGS/run12345.mid.gz`)
  if (!allows(rules.scopes, 'push', run.tag))
    throw refusal(403, `this token may not push runs of ${run.tag}; it has ${rules.scopes.join(', ')}`)
  if (
    creates === true &&
    request.headers['if-none-match'] !== '*' &&
    !allows(rules.scopes, 'overwrite', run.tag)
  )
    throw refusal(
      403,
      `this token may not replace objects of ${run.tag}: this needs If-None-Match: *, or the scope overwrite:${run.tag}`,
    )
  return { operation, bucket, key }
}

/**
 * Bucket and key, `''` for the bucket itself. Only the canonical encoding of a path is accepted, since the
 * store may read another one as another object.
 */
function placeOf(path: string, basePath: string): { readonly bucket: string; readonly key: string } {
  const below = path.startsWith(`${basePath}/`) ? path.slice(basePath.length) : ''
  const [, bucket = '', encodedKey = ''] = /^\/([a-z0-9][a-z0-9.-]{1,62})(?:\/(.*))?$/s.exec(below) ?? []
  const key = decoded(encodedKey)
  if (bucket === '' || key === null || encodePath(key) !== encodedKey)
    throw refusal(403, 'the path is not the canonical S3 path of an object')
  return { bucket, key }
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

/** Encodes all but A-Z a-z 0-9 - . _ ~ and / as %XX, as signatures require. */
const encodePath = (key: string): string =>
  encodeURIComponent(key)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%2F', '/')

function formOf({ method, query }: RequestToSign): Form {
  const names = Object.keys(query).filter((name) => name !== 'x-id')
  const form = FORMS.find(
    ({ method: wanted, needs, may = [] }) =>
      wanted === method &&
      needs.every((name) => names.includes(name)) &&
      names.every((name) => needs.includes(name) || may.includes(name)),
  )
  // x-id repeats the name of the operation for logs; the store ignores it.
  if (form === undefined || ('x-id' in query && query['x-id'] !== form.operation))
    throw refusal(403, 'this request is not part of sending a run')
  for (const name of names)
    if (QUERY_VALUES[name]?.test(query[name] ?? '') !== true)
      throw refusal(403, `the value of ${name} in the query is invalid`)
  return form
}

function checkHeaders(headers: Readonly<Record<string, string>>, host: string): void {
  for (const [name, value] of Object.entries(headers)) {
    const allowed =
      name === 'host'
        ? value === host
        : (METADATA_NAME.test(name) ? METADATA_VALUE : HEADER_VALUES.get(name))?.test(value)
    if (allowed !== true)
      throw refusal(
        403,
        `the header ${JSON.stringify(cutText(name, 80))} is not allowed here, or its value is not`,
      )
  }
}
