/**
 * The middleware between the client and s3rver. It checks the signature and the body of a request, answers requests
 * that s3rver answers incorrectly or not at all (listings, parts, abort, deletion of several keys, notifications),
 * and adds conditional requests, which s3rver ignores: a failed If-Match must not return or delete another version.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Context, Middleware } from '@20minutes/s3rver'
import AWSAccount from '@20minutes/s3rver/lib/models/account.js'
import S3Error from '@20minutes/s3rver/lib/models/error.js'
import { checkedBody } from './body.ts'
import { STORED_CHECKSUMS } from './checksums.ts'
import { deleteIfMatch, deleteObjects, preconditionFailed } from './deletion.ts'
import { listObjects, listParts, listUploads } from './listing.ts'
import type { MultipartStore } from './multipart.ts'
import type { BucketNotifications } from './notifications.ts'
import type { Credentials } from './settings.ts'
import { verifySignature } from './signature.ts'
import { xmlText } from './xml.ts'

/** S3 allows 100 configurations for a bucket. */
const LARGEST_NOTIFICATIONS_BYTES = 1024 * 1024

/** Sub-resources of a bucket that are not listings of its objects: s3rver answers them. */
const BUCKET_SUBRESOURCES = (
  'acl cors encryption lifecycle location logging object-lock policy replication requestPayment tagging versioning ' +
  'versions website'
).split(' ')

export function createProtocol(options: {
  readonly store: MultipartStore
  readonly notifications: BucketNotifications
  readonly credentials: Credentials
  readonly now?: () => Date
}): Middleware {
  const { store, notifications } = options
  return async (context, next) => {
    const { req: request } = context.request
    verifySignature(request, { credentials: options.credentials, now: options.now?.() ?? new Date() })
    // Without this header s3rver does not check the signature again.
    delete request.headers.authorization
    context.query = Object.fromEntries(
      Object.entries(context.query).filter(
        ([name]) => !/^x-amz-(algorithm|credential|date|expires|signedheaders|signature)$/i.test(name),
      ),
    )
    context.state.account = AWSAccount.DUMMY_ACCOUNT
    context.req = checkedBody(request)
    // The body no longer has the framing.
    request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD'

    const { bucket, key } = parsePath(context.path)
    if (bucket !== '' && (await answer(context, { store, notifications, bucket, key }))) return
    const found = store.find(bucket, key)
    const completes = context.method === 'POST' && context.query.uploadId !== undefined
    if ((context.method === 'PUT' || completes) && key !== '')
      checkWriteConditions(request.headers, found?.etag)
    fixHeaders(request.headers, found?.sizeBytes ?? 0)
    await next()
    if ((context.method === 'GET' || context.method === 'HEAD') && key !== '' && context.status < 300)
      afterRead(context)
  }
}

function parsePath(path: string): { readonly bucket: string; readonly key: string } {
  const [, bucket = '', ...rest] = path.split('/')
  return { bucket: decode(bucket), key: decode(rest.join('/')) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new S3Error('InvalidURI', "Couldn't parse the specified URI.")
  }
}

interface RequestTarget {
  readonly store: MultipartStore
  readonly notifications: BucketNotifications
  readonly bucket: string
  readonly key: string
}

/** Answers the request, or returns false to leave it to s3rver. */
async function answer(
  context: Context,
  { store, notifications, bucket, key }: RequestTarget,
): Promise<boolean> {
  const { method, query } = context
  const has = (name: string) => query[name] !== undefined
  const xml = (body: string) => {
    context.type = 'application/xml'
    context.body = body
    return true
  }
  const existing = async () => {
    if ((await store.getBucket(bucket)) === null)
      throw new S3Error('NoSuchBucket', 'The specified bucket does not exist', { BucketName: bucket })
  }
  if (method === 'HEAD' && key === '') {
    await existing()
    context.status = 200
    return true
  }
  if (key === '' && has('notification') && (method === 'GET' || method === 'PUT')) {
    await existing()
    if (method === 'GET') return xml(notifications.get(bucket))
    notifications.put(bucket, await xmlText(context.req, LARGEST_NOTIFICATIONS_BYTES))
    context.status = 200
    context.body = ''
    return true
  }
  if (method === 'GET' && key === '' && !BUCKET_SUBRESOURCES.some(has)) {
    await existing()
    return xml(has('uploads') ? listUploads(store, bucket, query) : listObjects(store, bucket, query))
  }
  if (method === 'POST' && key === '' && has('delete')) {
    await existing()
    return xml(await deleteObjects(store, bucket, context.req))
  }
  if (has('uploadId') && key !== '' && (method === 'GET' || method === 'DELETE')) {
    await existing()
    if (method === 'GET') return xml(listParts(store, bucket, key, query))
    store.upload(bucket, String(query.uploadId), key)
    store.abortUpload(String(query.uploadId))
    context.status = 204
    return true
  }
  const condition = context.request.req.headers['if-match']
  if (method === 'DELETE' && key !== '' && condition !== undefined) {
    await existing()
    await deleteIfMatch(store, bucket, key, condition)
    emitRemoved(context, bucket, key)
    context.status = 204
    return true
  }
  return false
}

/** Emits the event that s3rver emits for its own deletions. */
function emitRemoved({ app, request }: Context, bucket: string, key: string): void {
  const requestParameters = { sourceIPAddress: request.req.socket.remoteAddress ?? '' }
  app.emit('event', {
    Records: [
      {
        eventName: 'ObjectRemoved:Delete',
        requestParameters,
        s3: { bucket: { name: bucket }, object: { key } },
      },
    ],
  })
}

/**
 * Rewrites headers that s3rver would read incorrectly: a range of the last bytes of an object, and the source of a
 * copy with `%2B` in it.
 */
function fixHeaders(headers: IncomingHttpHeaders, sizeBytes: number): void {
  const suffix = /^bytes=-(\d+)$/.exec(headers.range ?? '')?.[1]
  if (suffix !== undefined) headers.range = `bytes=${Math.max(0, sizeBytes - Number(suffix))}-`
  const source = headers['x-amz-copy-source']
  if (typeof source === 'string') headers['x-amz-copy-source'] = encodeURI(decode(source))
}

/** Conditional writes: If-None-Match: * creates and never replaces, If-Match replaces only this version. */
function checkWriteConditions(headers: Readonly<IncomingHttpHeaders>, etag: string | undefined): void {
  const unquoted = (value: string | string[] | undefined) => String(value).replaceAll('"', '')
  if (headers['if-none-match'] === '*' && etag !== undefined) throw preconditionFailed('If-None-Match')
  if (headers['if-match'] !== undefined && unquoted(headers['if-match']) !== etag)
    throw preconditionFailed('If-Match')
}

/**
 * Compares If-Match with the version that is about to be sent, and removes checksums that were not requested.
 */
function afterRead(context: Context): void {
  const { headers } = context.request.req
  const wanted = headers['if-match']
  const etags = wanted?.split(',').map((etag) => etag.trim().replaceAll('"', ''))
  if (
    etags !== undefined &&
    wanted !== '*' &&
    !etags.includes(context.response.get('ETag').replaceAll('"', ''))
  ) {
    if (typeof context.body === 'object' && context.body !== null && 'destroy' in context.body)
      (context.body as { destroy(): void }).destroy()
    throw preconditionFailed('If-Match')
  }
  const whole = headers['x-amz-checksum-mode'] === 'ENABLED' && headers.range === undefined
  const present = STORED_CHECKSUMS.filter((name) => context.response.get(name) !== '')
  if (!whole) for (const name of present) context.response.remove(name)
  else if (present.length > 0) context.set('x-amz-checksum-type', 'FULL_OBJECT')
}
