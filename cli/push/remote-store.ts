/**
 * The store for a machine that has only an API token: an S3 client whose requests are signed by the catalogue's
 * API. The bytes go to the store directly. It can be used like any other S3 client.
 */
import { createHash } from 'node:crypto'
import type { S3Client } from '@aws-sdk/client-s3'
import * as z from 'zod'
import type { Config } from '../../shared/config/config.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import type { ObjectName } from '../../shared/run.ts'
import { type Api, createApi } from './api.ts'
import { createPushClient } from './push.ts'

const uploadSettings = z.object({
  endpoint: z.url({ protocol: /^https?$/ }),
  region: z.string().min(1),
  buckets: z.array(z.string()).min(1),
  tags: z.array(z.string()),
})

const fileCopies = z.object({
  sha256: z.string(),
  sizeBytes: z.number(),
  cloud: z.object({ state: z.string(), verifiedAt: z.string().nullable() }).nullable(),
  tape: z.array(z.object({ endpoint: z.string(), state: z.string(), verifiedAt: z.string().nullable() })),
  safe: z.boolean(),
  why: z.string(),
})

/** The copies of a file's contents, as in the catalogue. */
export type RemoteCopies = z.infer<typeof fileCopies>

const permission = z.discriminatedUnion('allowed', [
  z.object({ allowed: z.literal(true), why: z.string(), id: z.int(), validSeconds: z.number().positive() }),
  z.object({ allowed: z.literal(false), why: z.string() }),
])

/** Whether a file may be removed now: its other copies were checked for this answer. */
export type RemotePermission = z.infer<typeof permission>

/** A file on a DAQ machine. */
export interface LocalFileReport extends ObjectName {
  readonly sha256: string
  readonly sizeBytes: number
  readonly host: string
  /** Absolute. */
  readonly path: string
}

/** The outcome of a permission. */
export interface EndOfRemoval extends ObjectName {
  readonly host: string
  readonly id: number
  readonly gone: boolean
}

/** Report of a machine: the file is on its disk, or is no longer there. */
export interface LocalReport extends LocalFileReport {
  readonly there: boolean
  /** When the file was read; present when it is there. */
  readonly readAt?: Date
}

export interface RemoteStore {
  readonly s3: S3Client
  readonly endpoint: string
  /** Buckets of runs; the first is the default. */
  readonly buckets: readonly string[]
  /** Tags whose runs may be sent with this token. */
  readonly tags: readonly string[]
  /** The copies of the catalogued contents of this key; null when it is not catalogued (yet). */
  copiesOf(object: ObjectName, signal: AbortSignal): Promise<RemoteCopies | null>
  /** Requests a permission to remove a file; null when an earlier version of the API cannot check the copies. */
  requestRemoval(file: LocalFileReport, signal: AbortSignal): Promise<RemotePermission | null>
  /** Reports a file of this machine; false when the report has to be repeated later, or the API is too old. */
  reportLocal(report: LocalReport, signal: AbortSignal): Promise<boolean>
  /** Reports the outcome of a permission. A permission that the catalogue does not know is ignored. */
  endRemoval(end: EndOfRemoval, signal: AbortSignal): Promise<void>
  close(): void
}

/** True when the settings have the address and a token of the API, which then signs the requests. */
export const hasApiToken = (config: Config): boolean =>
  config.api.url !== undefined && config.api.token !== undefined

/**
 * Reads the address of the store from the API, and makes the client. The signal also aborts later requests to
 * the API. `newTag`: files may be of a tag that the catalogue does not know.
 * @throws InvalidInputError when a setting is missing or wrong, TransientError when the API does not answer
 * or does not accept the token.
 */
export async function openRemoteStore(
  config: Config,
  signal: AbortSignal,
  newTag = false,
): Promise<RemoteStore> {
  const {
    api: { url, token },
  } = config
  if (url === undefined || token === undefined)
    throw new InvalidInputError('both CYGNET_API_URL and CYGNET_API_TOKEN have to be set')
  const api = createApi(url, token, signal)
  const settings = await api.get('api/v1/upload-settings', uploadSettings)
  const s3 = createPushClient({
    ...config,
    store: {
      ...config.store,
      endpoint: settings.endpoint,
      region: settings.region,
      // Never sent. Without them the SDK would search for credentials, at last at an address that does not
      // answer outside AWS.
      accessKeyId: 'signed-by-the-api',
      secretAccessKey: 'signed-by-the-api',
    },
  })
  const signer = createRemoteSigner(api, newTag)
  s3.config.signer = async () => signer
  return {
    s3,
    endpoint: settings.endpoint,
    buckets: settings.buckets,
    tags: settings.tags,
    copiesOf: (object, callSignal) => api.getOrNull(`${pathOf(object)}/copies`, fileCopies, callSignal),
    requestRemoval: ({ bucket, key, ...file }, callSignal) =>
      api.postOrNull(`${pathOf({ bucket, key })}/deletions`, file, permission, callSignal),
    async reportLocal({ bucket, key, ...report }, callSignal) {
      const path = `${pathOf({ bucket, key })}/local-copies`
      return (
        (await api.postOrNull(path, report, z.object({ noted: z.boolean() }), callSignal))?.noted ?? false
      )
    },
    async endRemoval({ bucket, key, id, host, gone }, callSignal) {
      await api.postOrNull(
        `${pathOf({ bucket, key })}/deletions/${id}`,
        { host, gone },
        z.object({ state: z.string() }),
        callSignal,
      )
    },
    close: () => s3.destroy(),
  }
}

const pathOf = ({ bucket, key }: ObjectName) =>
  `api/v1/files/${encodeURIComponent(bucket)}/${key.split('/').map(encodeURIComponent).join('/')}`

type Signer = Awaited<ReturnType<S3Client['config']['signer']>>
type HttpRequest = Awaited<ReturnType<Signer['sign']>>

const signedHeaders = z.object({ headers: z.record(z.string(), z.string()) })

/** Headers that are not signed and are kept. */
const UNSIGNED = /^(?:user-agent|amz-sdk-.*|expect)$/i
/** Headers that the signature replaces, and a second user agent that would have to be signed. */
const DROPPED = /^(?:authorization|x-amz-date|x-amz-user-agent)$/i

function createRemoteSigner(api: Api, newTag: boolean): Signer {
  return {
    async sign(request: HttpRequest): Promise<HttpRequest> {
      const given = Object.entries(request.headers).filter(([name]) => !DROPPED.test(name))
      const toSign = given
        .filter(([name]) => !UNSIGNED.test(name))
        .map(([name, value]) => [name.toLowerCase(), value])
      const headers = { ...Object.fromEntries(toSign), 'x-amz-content-sha256': payloadHash(request.body) }
      const { method, path, query = {} } = request
      // The date of the signature is from the API's clock: that of a DAQ machine may be wrong.
      const toBeSigned = { method, path, query, headers, ...(newTag ? { newTag } : {}) }
      const signed = await api.post('api/v1/uploads/sign', toBeSigned, signedHeaders)
      request.headers = {
        ...Object.fromEntries(given.filter(([name]) => UNSIGNED.test(name))),
        ...headers,
        ...signed.headers,
      }
      return request
    },
  } as Signer
}

/** SHA-256 of a body in memory. A stream is not hashed: its Content-MD5 protects it. */
function payloadHash(body: unknown): string {
  const whole = body === undefined || body === null ? '' : body
  if (typeof whole !== 'string' && !(whole instanceof Uint8Array)) return 'UNSIGNED-PAYLOAD'
  return createHash('sha256').update(whole).digest('hex')
}
