/**
 * The store of a story. Requests that change an object of a run are done one at a time, and the contents
 * under the key are read before and after.
 */
import {
  type CompleteMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import type { Call } from './call.ts'
import { type GroundTruth, sha256Of } from './ground-truth.ts'
import type { Judge } from './judge.ts'
import type { Violations } from './violations.ts'

export interface StoreOptions {
  readonly s3: S3Client
  readonly bucket: string
  readonly groundTruth: GroundTruth
  readonly violations: Violations
  readonly judge: Judge
}

export interface Store {
  /** The client for one call of a function. */
  clientFor(call: Call): S3Client
  read(key: string): Promise<Uint8Array | null>
  keys(): Promise<readonly string[]>
  /** An external actor writes an object, over what is there. @returns the ETag. */
  put(key: string, bytes: Uint8Array): Promise<string>
  remove(key: string): Promise<void>
}

const WRITES = ['PutObjectCommand', 'CompleteMultipartUploadCommand', 'CopyObjectCommand']
/** Prefix for objects that a recall has to check first; none of them counts as a run. */
export const TEMPORARY = 'TMP/recall/'

type Command = PutObjectCommand | CompleteMultipartUploadCommand | DeleteObjectCommand
interface SendOptions {
  readonly abortSignal?: AbortSignal
}

export function createStore({ s3, bucket, groundTruth, violations, judge }: StoreOptions): Store {
  let last: Promise<unknown> = Promise.resolve()
  const oneAtATime = <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work)
    last = next.catch(() => {})
    return next
  }

  async function read(key: string): Promise<Uint8Array | null> {
    try {
      const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
      return (await answer.Body?.transformToByteArray()) ?? new Uint8Array()
    } catch (error) {
      if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 404)
        return null
      throw error
    }
  }

  async function recordObject(key: string): Promise<string | null> {
    const bytes = await read(key)
    groundTruth.record(`store/${key}`, bytes === null ? null : sha256Of(bytes))
    return groundTruth.now(`store/${key}`)
  }

  async function judged<T>(call: Call, command: Command, send: () => Promise<T>): Promise<T> {
    const key = command.input.Key ?? ''
    if (key.startsWith(TEMPORARY)) return await send()
    return await oneAtATime(async () => {
      const before = groundTruth.now(`store/${key}`)
      const tombstones = before === null ? [] : await judge.tombstones('cloud', { key, sha256: before })
      let done = false
      try {
        const answer = await send()
        done = true
        return answer
      } finally {
        const after = await recordObject(key)
        if (command.constructor.name !== 'DeleteObjectCommand') {
          if (done) judge.write(call, key, before, after)
        } else if (before !== null && after === null)
          judge.deletion(call, 'cloud', { key, sha256: before }, tombstones)
      }
    })
  }

  return {
    read,
    async keys() {
      const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket }))
      return (page.Contents ?? []).map((item) => item.Key ?? '')
    },
    put: (key, bytes) =>
      oneAtATime(async () => {
        const answer = await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes }))
        await recordObject(key)
        return (answer.ETag ?? '').replaceAll('"', '')
      }),
    remove: (key) =>
      oneAtATime(async () => {
        await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }))
        await recordObject(key)
      }),
    clientFor(call) {
      const send = (command: Command, options: SendOptions = {}) =>
        call.through('store', async () => {
          options.abortSignal?.throwIfAborted()
          const name = command.constructor.name
          if (name === 'DeleteObjectsCommand') violations.add(`${call.name} deletes several objects at once`)
          const request = (how: SendOptions) => s3.send(command as PutObjectCommand, how)
          if (!WRITES.includes(name) && name !== 'DeleteObjectCommand') return await request(options)
          // Without the abort signal: only the accidents decide whether a request that was aborted is carried
          // out.
          return await judged(call, command, () => request({}))
        })
      return new Proxy(s3, {
        get: (target, property) => (property === 'send' ? send : Reflect.get(target, property, target)),
      })
    },
  }
}
