/**
 * The store of a story. What changes a run's object is done one at a time, and what was under the key before
 * and after is read.
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
import type { Judge } from './judge.ts'
import { sha256Of, type Truth } from './truth.ts'
import type { Violations } from './violations.ts'

export interface StoreOptions {
  readonly s3: S3Client
  readonly bucket: string
  readonly truth: Truth
  readonly violations: Violations
  readonly judge: Judge
}

export interface Store {
  /** As one call of a function sees it. */
  clientFor(call: Call): S3Client
  read(key: string): Promise<Uint8Array | null>
  keys(): Promise<readonly string[]>
  /** Others than functions write, whatever is there. Returns the ETag. */
  put(key: string, bytes: Uint8Array): Promise<string>
  remove(key: string): Promise<void>
}

const WRITES = ['PutObjectCommand', 'CompleteMultipartUploadCommand', 'CopyObjectCommand']
/** Where recalls put what they have to look at first; nothing of it is a run. */
export const TEMPORARY = 'TMP/recall/'

type Command = PutObjectCommand | CompleteMultipartUploadCommand | DeleteObjectCommand
interface SendOptions {
  readonly abortSignal?: AbortSignal
}

export function createStore({ s3, bucket, truth, violations, judge }: StoreOptions): Store {
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

  async function note(key: string): Promise<string | null> {
    const bytes = await read(key)
    truth.note(`store/${key}`, bytes === null ? null : sha256Of(bytes))
    return truth.now(`store/${key}`)
  }

  async function judged<T>(call: Call, command: Command, send: () => Promise<T>): Promise<T> {
    const key = command.input.Key ?? ''
    if (key.startsWith(TEMPORARY)) return await send()
    return await oneAtATime(async () => {
      const before = truth.now(`store/${key}`)
      const tombstones = before === null ? [] : await judge.tombstones('cloud', { key, sha256: before })
      let done = false
      try {
        const answer = await send()
        done = true
        return answer
      } finally {
        const after = await note(key)
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
        await note(key)
        return (answer.ETag ?? '').replaceAll('"', '')
      }),
    remove: (key) =>
      oneAtATime(async () => {
        await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }))
        await note(key)
      }),
    clientFor(call) {
      const send = (command: Command, options: SendOptions = {}) =>
        call.through('store', async () => {
          options.abortSignal?.throwIfAborted()
          const name = command.constructor.name
          if (name === 'DeleteObjectsCommand') violations.add(`${call.name} deletes several objects at once`)
          const ask = (how: SendOptions) => s3.send(command as PutObjectCommand, how)
          if (!WRITES.includes(name) && name !== 'DeleteObjectCommand') return await ask(options)
          // Never given up half way: whether a request that is given up is carried out all the same is for
          // the accidents to say.
          return await judged(call, command, () => ask({}))
        })
      return new Proxy(s3, {
        get: (target, property) => (property === 'send' ? send : Reflect.get(target, property, target)),
      })
    },
  }
}
