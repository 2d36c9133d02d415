/** The context of a function on real services: a fresh catalogue, a private bucket and private queues. */
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { startTestStore, type TestStore } from '../../infra/local/testing.ts'
import { loadConfig } from '../../shared/config/config.ts'
import { createLogger } from '../../shared/log.ts'
import type { ObjectArrival } from '../../shared/notifications/arrival.ts'
import { QUEUES, type QueueName } from '../../shared/queue/queues.ts'
import { database, type OpenContext, openContext, queues, s3 } from '../../shared/runtime/open-context.ts'
import { startTestCatalogue, type TestCatalogue } from './catalogue.ts'

export interface TestContext extends OpenContext<'database' | 'queues' | 's3'> {
  readonly store: TestStore
  readonly catalogue: TestCatalogue
  readonly bucket: string
  /** Puts bytes under a key. @returns the arrival that the store would notify of. */
  put(key: string, body: Uint8Array | string, metadata?: Record<string, string>): Promise<ObjectArrival>
  /** Puts the same bytes under many keys, a few concurrently. */
  putAll(keys: readonly string[], body: string): Promise<void>
  /** Takes all messages out of a queue. @returns their bodies. */
  drain(queue: QueueName | `${QueueName}-dead`): Promise<Record<string, unknown>[]>
}

/** Never aborts: the time limit of the test ends work that hangs. */
export const signal = new AbortController().signal

/** Longer than any test: a received message does not become visible again by itself. */
const HIDDEN_SECONDS = 3600
/** The store's client has 50 connections, and a request that waits 5 s for one fails. */
const PUTS_AT_ONCE = 16

export async function startTestContext(
  environment: Readonly<Record<string, string>> = {},
): Promise<TestContext> {
  const [catalogue, store] = await Promise.all([
    startTestCatalogue(),
    startTestStore({
      queues: QUEUES.map((name) => ({ name, visibilitySeconds: HIDDEN_SECONDS, maxReceiveCount: 6 })),
    }),
  ])
  const config = loadConfig({ CYGNET_DATABASE_URL: catalogue.url, ...store.environment, ...environment })
  const context = await openContext(
    config,
    'test',
    [database, queues, s3],
    createLogger({ function: 'test', level: 'silent' }),
  )
  const put: TestContext['put'] = async (key, body, metadata = {}) => {
    const answer = await context.s3.send(
      new PutObjectCommand({ Bucket: store.bucket, Key: key, Body: body, Metadata: metadata }),
    )
    return arrivalOf(store.bucket, key, (answer.ETag ?? '').replaceAll('"', ''))
  }
  return {
    ...context,
    catalogue,
    store,
    bucket: store.bucket,
    put,
    async putAll(keys, body) {
      const left = [...keys]
      const worker = async () => {
        for (let key = left.pop(); key !== undefined; key = left.pop()) await put(key, body)
      }
      await Promise.all(Array.from({ length: PUTS_AT_ONCE }, worker))
    },
    async drain(queue) {
      const bodies: Record<string, unknown>[] = []
      for (;;) {
        const messages = await context.queues.receive(queue, HIDDEN_SECONDS, signal)
        if (messages.length === 0) return bodies
        for (const message of messages) {
          bodies.push(JSON.parse(message.body))
          await context.queues.delete(queue, message, signal)
        }
      }
    },
    async close() {
      await context.close()
      await catalogue.close()
    },
  }
}

export function arrivalOf(bucket: string, key: string, etag: string | null): ObjectArrival {
  return {
    bucket,
    key,
    etag,
    sizeBytes: null,
    versionId: null,
    sequencer: null,
    eventName: 'ObjectCreated:Put',
    eventTime: new Date(),
    source: 'aws',
  }
}
