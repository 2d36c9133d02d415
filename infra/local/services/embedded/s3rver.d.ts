/** Types of the parts of @20minutes/s3rver 5.0.0 that we use; the package has no types. */
declare module '@20minutes/s3rver' {
  import type { IncomingMessage, Server, ServerResponse } from 'node:http'
  import type { AddressInfo } from 'node:net'
  import type { Readable } from 'node:stream'
  import type FilesystemStore from '@20minutes/s3rver/lib/stores/filesystem.js'

  /**
   * The fields of Koa's context that we use. The controllers read the body of the request from `req`.
   */
  export interface Context {
    req: Readable
    readonly request: { readonly req: IncomingMessage }
    readonly res: ServerResponse
    readonly response: { get(header: string): string; remove(header: string): void }
    readonly method: string
    readonly path: string
    query: Record<string, string | string[] | undefined>
    readonly state: { account?: object; [name: string]: unknown }
    readonly app: S3rver
    status: number
    type: string
    body: unknown
    set(header: string, value: string): void
  }
  export type Middleware = (context: Context, next: () => Promise<void>) => Promise<void>

  export interface S3rverEventRecord {
    readonly eventName: string
    readonly requestParameters: { readonly sourceIPAddress: string }
    readonly s3: {
      readonly bucket: { readonly name: string }
      readonly object: { readonly key: string; readonly size?: number; readonly eTag?: string }
    }
  }

  export default class S3rver {
    constructor(options: {
      readonly address: string
      readonly port: number
      readonly silent: boolean
      readonly directory: string
      readonly vhostBuckets: boolean
    })
    /**
     * Koa's list of middleware, in the order of their calls; the last one is the router of s3rver.
     */
    readonly middleware: Middleware[]
    readonly context: { store: FilesystemStore }
    store: FilesystemStore
    on(event: 'event', listener: (event: { readonly Records: readonly S3rverEventRecord[] }) => void): this
    emit(event: 'event', records: { readonly Records: readonly S3rverEventRecord[] }): boolean
    on(event: 'error', listener: (error: unknown, context?: Context) => void): this
    /** Available after `run`. */
    readonly httpServer: Server
    run(): Promise<AddressInfo>
    close(): Promise<void>
  }
}

declare module '@20minutes/s3rver/lib/models/account.js' {
  /** The account that s3rver's own clients act for. */
  const AWSAccount: { readonly DUMMY_ACCOUNT: object }
  export default AWSAccount
}

declare module '@20minutes/s3rver/lib/models/error.js' {
  /** An error that s3rver sends as XML of S3, with the HTTP status of the code. */
  export default class S3Error extends Error {
    constructor(code: string, message?: string, detail?: Readonly<Record<string, unknown>>)
    readonly code: string
    status: number
  }
}

declare module '@20minutes/s3rver/lib/models/object.js' {
  import type { Readable } from 'node:stream'
  export default class S3Object {
    /** Names of the headers that are stored with an object, in addition to x-amz-meta-*. */
    static readonly ALLOWED_METADATA: string[]
    constructor(
      bucket: string,
      key: string,
      content: Readable | Buffer | null,
      metadata: Readonly<Record<string, unknown>>,
    )
    readonly bucket: string
    readonly key: string
    readonly content: Readable | Buffer | null
    readonly metadata: Record<string, string>
    range?: { readonly start: number; readonly end: number }
  }
}

declare module '@20minutes/s3rver/lib/stores/filesystem.js' {
  export interface Bucket {
    readonly name: string
    readonly creationDate: Date
  }
  export default class FilesystemStore {
    constructor(rootDirectory: string)
    readonly rootDirectory: string
    getBucketPath(bucket: string): string
    getResourcePath(bucket: string, key?: string, resource?: string): string
    getSubresource(bucket: string, key: string | undefined, type: string): Promise<unknown>
    getBucket(bucket: string): Promise<Bucket | null>
    putBucket(bucket: string): Promise<Bucket | null>
    deleteBucket(bucket: string): Promise<void>
  }
}
