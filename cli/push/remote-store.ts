/**
 * The store as a machine sees it that has an API token and nothing else: an S3 client whose every request is
 * signed by the catalogue's API. The bytes go to the store directly, and whatever uses an S3 client works
 * with this one.
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

/** Where the copies of a file's contents are, by the catalogue. */
export type RemoteCopies = z.infer<typeof fileCopies>

const permission = z.discriminatedUnion('allowed', [
  z.object({ allowed: z.literal(true), why: z.string(), id: z.int(), validSeconds: z.number().positive() }),
  z.object({ allowed: z.literal(false), why: z.string() }),
])

/** Whether a file may be removed now: its other copies were looked at for this answer. */
export type RemotePermission = z.infer<typeof permission>

/** A file of a machine. */
export interface FileOfMachine extends ObjectName {
  readonly sha256: string
  readonly sizeBytes: number
  readonly host: string
  /** Absolute. */
  readonly path: string
}

/** What came of a permission. */
export interface EndOfRemoval extends ObjectName {
  readonly host: string
  readonly id: number
  readonly gone: boolean
}

/** What a machine found where a file of its own is, or was. */
export interface LocalReport extends FileOfMachine {
  readonly there: boolean
  /** Of a file that is there. */
  readonly readAt?: Date
}

export interface RemoteStore {
  readonly s3: S3Client
  readonly endpoint: string
  /** Buckets of runs; the first is where runs go when nothing else is said. */
  readonly buckets: readonly string[]
  /** Tags whose runs this token may send. */
  readonly tags: readonly string[]
  /** The copies of what the catalogue knows under this key; null when it does not know it (yet). */
  copiesOf(object: ObjectName, signal: AbortSignal): Promise<RemoteCopies | null>
  /** Asks to remove a file; null when the API is of before and cannot look at the copies. */
  mayRemove(file: FileOfMachine, signal: AbortSignal): Promise<RemotePermission | null>
  /** Reports a file of this machine; false when that is to be done again later, also by an API of before. */
  noteLocal(report: LocalReport, signal: AbortSignal): Promise<boolean>
  /** Says what came of a permission; one that the catalogue knows nothing of has nothing to be ended. */
  endRemoval(end: EndOfRemoval, signal: AbortSignal): Promise<void>
  close(): void
}

/** True when the settings say that requests are to be signed by the API. */
export const hasApiToken = (config: Config): boolean =>
  config.api.url !== undefined && config.api.token !== undefined

/**
 * Asks the API where the store is, and makes the client. The signal ends whatever waits for the API, also
 * later.
 * @throws InvalidInputError when a setting is missing or wrong, TransientError when the API does not answer
 * or not accept the token.
 */
export async function openRemoteStore(config: Config, signal: AbortSignal): Promise<RemoteStore> {
  const {
    api: { url, token },
  } = config
  if (url === undefined || token === undefined)
    throw new InvalidInputError('CYGNET_API_URL and CYGNET_API_TOKEN have to be set, both')
  const api = createApi(url, token, signal)
  const settings = await api.get('api/v1/upload-settings', uploadSettings)
  const s3 = createPushClient({
    ...config,
    store: {
      ...config.store,
      endpoint: settings.endpoint,
      region: settings.region,
      // Never sent. Without them the SDK would look for some, in the end at addresses that do not answer
      // outside AWS.
      accessKeyId: 'signed-by-the-api',
      secretAccessKey: 'signed-by-the-api',
    },
  })
  const signer = createRemoteSigner(api)
  s3.config.signer = async () => signer
  return {
    s3,
    endpoint: settings.endpoint,
    buckets: settings.buckets,
    tags: settings.tags,
    copiesOf: (object, callSignal) => api.find(`${pathOf(object)}/copies`, fileCopies, callSignal),
    mayRemove: ({ bucket, key, ...file }, callSignal) =>
      api.tell(`${pathOf({ bucket, key })}/deletions`, file, permission, callSignal),
    async noteLocal({ bucket, key, ...report }, callSignal) {
      const path = `${pathOf({ bucket, key })}/local-copies`
      return (await api.tell(path, report, z.object({ noted: z.boolean() }), callSignal))?.noted ?? false
    },
    async endRemoval({ bucket, key, id, host, gone }, callSignal) {
      await api.tell(
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

/** Headers that no signature covers, and that stay. */
const UNSIGNED = /^(?:user-agent|amz-sdk-.*|expect)$/i
/** What is made anew, and a second user agent that would have to be signed. */
const DROPPED = /^(?:authorization|x-amz-date|x-amz-user-agent)$/i

function createRemoteSigner(api: Api): Signer {
  return {
    async sign(request: HttpRequest): Promise<HttpRequest> {
      const given = Object.entries(request.headers).filter(([name]) => !DROPPED.test(name))
      const toSign = given
        .filter(([name]) => !UNSIGNED.test(name))
        .map(([name, value]) => [name.toLowerCase(), value])
      const headers = { ...Object.fromEntries(toSign), 'x-amz-content-sha256': payloadHash(request.body) }
      const { method, path, query = {} } = request
      // The API's clock dates the signature: that of a DAQ machine may be wrong.
      const signed = await api.post('api/v1/uploads/sign', { method, path, query, headers }, signedHeaders)
      request.headers = {
        ...Object.fromEntries(given.filter(([name]) => UNSIGNED.test(name))),
        ...headers,
        ...signed.headers,
      }
      return request
    },
  } as Signer
}

/** Of bodies that are in memory; streams are guarded by the Content-MD5 that goes with them. */
function payloadHash(body: unknown): string {
  const whole = body === undefined || body === null ? '' : body
  if (typeof whole !== 'string' && !(whole instanceof Uint8Array)) return 'UNSIGNED-PAYLOAD'
  return createHash('sha256').update(whole).digest('hex')
}
