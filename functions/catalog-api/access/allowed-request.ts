/**
 * Which requests to the store are signed for the holder of a token: those that send a run of one of its tags,
 * and no others. Everything is named here that may be in a request; what is not named is refused. The
 * signature covers each of these parts, so that nothing can be taken away or changed afterwards.
 */
import { allows } from '../../../shared/access/scopes.ts'
import { parseRunKey } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'

/** A request to the store, as it will be sent: the path encoded, query values not. */
export interface RequestToSign {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
}

export interface SigningRules {
  readonly buckets: readonly string[]
  readonly scopes: readonly string[]
  /** Host and port of the store, as in the header. */
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
  /** Makes an object under the key. */
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
/** Not those by which MinIO takes an archive to be unpacked. */
const METADATA_NAME = /^x-amz-meta-(?!(?:minio-)?snowball-)[a-z0-9-]{1,64}$/
const METADATA_VALUE = /^[\x20-\x7e]{0,512}$/

/**
 * What the request would do.
 * @throws a 403 problem that says what is not allowed.
 */
export function allowedRequest(
  request: RequestToSign,
  rules: SigningRules,
): { readonly operation: Operation; readonly bucket: string; readonly key: string | null } {
  const { bucket, key } = placeOf(request.path, rules.basePath)
  if (!rules.buckets.includes(bucket)) throw refusal(403, `"${bucket}" is no bucket of runs`)
  checkHeaders(request.headers, rules.host)
  if (key === '') {
    if (request.method !== 'HEAD' || Object.keys(request.query).length > 0)
      throw refusal(403, 'of a bucket itself one may only ask whether it is there')
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
      `this token may not replace objects of ${run.tag}: If-None-Match: * is needed, or the scope overwrite:${run.tag}`,
    )
  return { operation, bucket, key }
}

/**
 * Bucket and key, `''` for the bucket itself. There is one way to write a path; another one might mean
 * another object to the store.
 */
function placeOf(path: string, basePath: string): { readonly bucket: string; readonly key: string } {
  const below = path.startsWith(`${basePath}/`) ? path.slice(basePath.length) : ''
  const [, bucket = '', encodedKey = ''] = /^\/([a-z0-9][a-z0-9.-]{1,62})(?:\/(.*))?$/s.exec(below) ?? []
  const key = decoded(encodedKey)
  if (bucket === '' || key === null || encodePath(key) !== encodedKey)
    throw refusal(403, 'the path is not that of an object as S3 writes it')
  return { bucket, key }
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

/** All but A-Z a-z 0-9 - . _ ~ and / as %XX, as signatures want it. */
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
  // x-id repeats the name of the operation, for logs; the store does not look at it.
  if (form === undefined || ('x-id' in query && query['x-id'] !== form.operation))
    throw refusal(403, 'this request is none of those that send a run')
  for (const name of names)
    if (QUERY_VALUES[name]?.test(query[name] ?? '') !== true)
      throw refusal(403, `the value of ${name} in the query cannot be`)
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
        `the header ${JSON.stringify(name.slice(0, 80))} is not allowed here, or its value is not`,
      )
  }
}
