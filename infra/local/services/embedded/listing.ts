/**
 * Listings of the embedded S3: ListObjects (1 and 2), ListParts, ListMultipartUploads. The listing of s3rver
 * continues with a DES-encrypted token, a cipher that present OpenSSL refuses, so it fails after the first 1000
 * keys; and its pages are in the order of folders, not of keys.
 */
import S3Error from '@20minutes/s3rver/lib/models/error.js'
import type { MultipartStore } from './multipart.ts'
import type { EmbeddedStore } from './store.ts'
import { type Element, xmlDocument } from './xml.ts'

type Query = Readonly<Record<string, string | string[] | undefined>>

const MOST_KEYS = 1000

function text(query: Query, name: string): string {
  const value = query[name]
  return (Array.isArray(value) ? value[0] : value) ?? ''
}

function limit(query: Query, name: string): number {
  const given = text(query, name)
  if (!/^\d*$/.test(given) || Number(given) > 2 ** 31 - 1)
    throw new S3Error('InvalidArgument', `Provided ${name} not an integer or within integer range`, {
      ArgumentName: name,
      ArgumentValue: given,
    })
  return given === '' ? MOST_KEYS : Math.min(Number(given), MOST_KEYS)
}

/**
 * Answer to `GET /bucket`, as XML. Keys are in the order of their UTF-8 bytes; a page has at most max-keys keys
 * and prefixes.
 */
export function listObjects(store: EmbeddedStore, bucket: string, query: Query): string {
  const second = text(query, 'list-type') === '2'
  const [prefix, delimiter, maximum] = [
    text(query, 'prefix'),
    text(query, 'delimiter'),
    limit(query, 'max-keys'),
  ]
  const token = text(query, 'continuation-token')
  const startAfter = second ? text(query, 'start-after') : text(query, 'marker')
  const after = token === '' ? startAfter : readToken(token)
  const page = selectPage(store.sortedKeys(bucket), { prefix, delimiter, after, maximum })
  const shown = text(query, 'encoding-type') === 'url' ? encodeListedKey : (key: string) => key
  const last = page.last ?? ''

  const elements: Element[] = [
    ['Name', bucket],
    ['Prefix', shown(prefix)],
    ['MaxKeys', String(maximum)],
    ['IsTruncated', String(page.truncated)],
  ]
  if (delimiter !== '') elements.push(['Delimiter', shown(delimiter)])
  if (text(query, 'encoding-type') === 'url') elements.push(['EncodingType', 'url'])
  if (second) {
    elements.push(['KeyCount', String(page.keys.length + page.prefixes.length)])
    if (startAfter !== '') elements.push(['StartAfter', shown(startAfter)])
    if (token !== '') elements.push(['ContinuationToken', token])
    if (page.truncated) elements.push(['NextContinuationToken', Buffer.from(last).toString('base64url')])
  } else {
    elements.push(['Marker', shown(startAfter)])
    if (page.truncated) elements.push(['NextMarker', shown(last)])
  }
  for (const key of page.keys) {
    const object = store.find(bucket, key)
    if (object === undefined) continue
    elements.push([
      'Contents',
      [
        ['Key', shown(key)],
        ['LastModified', object.lastModified],
        ['ETag', `"${object.etag}"`],
        ['Size', String(object.sizeBytes)],
        ['StorageClass', 'STANDARD'],
      ],
    ])
  }
  for (const common of page.prefixes) elements.push(['CommonPrefixes', [['Prefix', shown(common)]]])
  return xmlDocument(['ListBucketResult', elements])
}

/**
 * Selects one page. `after` may be a key or a common prefix: both may end a page, and are not repeated on the next.
 */
function selectPage(
  sorted: readonly string[],
  options: {
    readonly prefix: string
    readonly delimiter: string
    readonly after: string
    readonly maximum: number
  },
) {
  const { prefix, delimiter, after, maximum } = options
  const keys: string[] = []
  const prefixes: string[] = []
  let last: string | null = null
  for (const key of sorted) {
    if (!key.startsWith(prefix)) continue
    const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    const shown = end < 0 ? key : key.slice(0, end + delimiter.length)
    if (after !== '' && Buffer.compare(Buffer.from(shown), Buffer.from(after)) <= 0) continue
    if (shown === last) continue
    if (keys.length + prefixes.length >= maximum) return { keys, prefixes, last, truncated: maximum > 0 }
    ;(end < 0 ? keys : prefixes).push(shown)
    last = shown
  }
  return { keys, prefixes, last, truncated: false }
}

function readToken(token: string): string {
  const key = Buffer.from(token, 'base64url')
  if (key.toString('base64url') !== token)
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
      ArgumentName: 'continuation-token',
    })
  return key.toString('utf8')
}

/** encoding-type=url: percent-encoded UTF-8, slashes unchanged, `+` for a space as in a form. */
function encodeListedKey(key: string): string {
  return encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+')
}

/** Answer to `GET /bucket/key?uploadId=…`. */
export function listParts(store: MultipartStore, bucket: string, key: string, query: Query): string {
  const uploadId = text(query, 'uploadId')
  store.upload(bucket, uploadId, key)
  const [maximum, marker] = [limit(query, 'max-parts'), Number(text(query, 'part-number-marker'))]
  const rest = store.parts(uploadId).filter((part) => part.number > marker)
  const page = rest.slice(0, maximum)
  const parts = page.map(({ number, md5, sizeBytes, lastModified }): Element => {
    return [
      'Part',
      [
        ['PartNumber', String(number)],
        ['LastModified', lastModified],
        ['ETag', `"${md5}"`],
        ['Size', String(sizeBytes)],
      ],
    ]
  })
  return xmlDocument([
    'ListPartsResult',
    [
      ['Bucket', bucket],
      ['Key', key],
      ['UploadId', uploadId],
      ['PartNumberMarker', String(marker)],
      ['NextPartNumberMarker', String(page.at(-1)?.number ?? 0)],
      ['MaxParts', String(maximum)],
      ['IsTruncated', String(rest.length > page.length)],
      ['StorageClass', 'STANDARD'],
      ...parts,
    ],
  ])
}

/** Answer to `GET /bucket?uploads`, always in one page. */
export function listUploads(store: MultipartStore, bucket: string, query: Query): string {
  const prefix = text(query, 'prefix')
  const uploads = store.uploads(bucket).filter((upload) => upload.key.startsWith(prefix))
  const elements = uploads.map(
    ({ key, uploadId, initiated }): Element => [
      'Upload',
      [
        ['Key', key],
        ['UploadId', uploadId],
        ['Initiated', initiated],
      ],
    ],
  )
  return xmlDocument([
    'ListMultipartUploadsResult',
    [['Bucket', bucket], ['Prefix', prefix], ['IsTruncated', 'false'], ...elements],
  ])
}
