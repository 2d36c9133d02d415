/**
 * The SQS part of the embedded services: fauxqs, listening only on the loopback address.
 *
 * The start function of fauxqs listens on every address of the machine and checks no credentials, so its parts are
 * combined here. It does not export these parts: they are imported by path, and the version is pinned exactly.
 */
import { timingSafeEqual } from 'node:crypto'
import { buildApp } from 'fauxqs'
import { KEEP_IDLE_CONNECTIONS, LOOPBACK } from '../../ports.ts'
import { ACCOUNT, type QueueDefinition, queueArn, REGION } from './settings.ts'

interface Queue {
  readonly name: string
  readonly attributes: Record<string, string>
  persistence?: Persistence
  enqueue(message: object): void
  setAttributes(attributes: Record<string, string>): void
}

interface Store {
  host: string
  persistence?: Persistence
  allQueues(): Iterable<Queue>
  getQueueByName(name: string): Queue | undefined
  createQueue(name: string, url: string, arn: string, attributes: Record<string, string>): Queue
}

interface Persistence {
  readonly db: { exec(sql: string): void; prepare(sql: string): { run(...values: unknown[]): unknown } }
  loadSqsAndSns(sqs: Store, sns: object): void
  updateMessageReady(messageId: string): void
  close(): void
}

export interface QueueServer {
  readonly port: number
  /**
   * Puts a message into a queue. When it returns, the message is in the queue (and on disk, if messages are stored).
   */
  send(queue: string, body: string): void
  /** Creates each queue with its dead-letter queue `<name>-dead`, or brings an existing one up to date. */
  createQueues(queues: readonly QueueDefinition[]): void
  stop(): Promise<void>
}

/** Imports a part of fauxqs that its package does not export. */
async function part<T>(path: string): Promise<T> {
  return (await import(new URL(path, import.meta.resolve('fauxqs')).href)) as T
}

/**
 * Starts the queues. With `folder` the messages are stored there and survive a restart and a kill; without it they
 * are in memory. Requests must have our access key; fauxqs checks no signature.
 */
export async function startQueues(options: {
  readonly port: number
  readonly folder: string | null
  readonly accessKeyId: string
}): Promise<QueueServer> {
  const { SqsStore } = await part<{ SqsStore: { new (): Store; createMessage(body: string): object } }>(
    './sqs/sqsStore.js',
  )
  const { SnsStore } = await part<{ SnsStore: new () => object }>('./sns/snsStore.js')
  const { S3Store } = await part<{ S3Store: new () => object }>('./s3/s3Store.js')
  const store = new SqsStore()
  const stores = { sqsStore: store, snsStore: new SnsStore(), s3Store: new S3Store() }
  const persistence = options.folder === null ? null : await openPersistence(options.folder, stores)

  const app = buildApp({ logger: false, defaultRegion: REGION, stores: stores as never })
  store.host = '' // queue addresses then have the host of the request: names like sqs.us-east-1.localhost need a resolver
  app.addHook('onRequest', async (request, reply) => {
    if (
      request.method === 'POST' &&
      request.url === '/' &&
      hasAccessKey(request.headers.authorization, options.accessKeyId)
    )
      return
    // Other features of fauxqs (its S3, its inspection pages) are not part of the embedded services.
    reply
      .code(403)
      .header('content-type', 'application/x-amz-json-1.0')
      .header('x-amzn-query-error', 'InvalidClientTokenId;Sender')
    return reply.send({
      __type: 'com.amazonaws.sqs#InvalidClientTokenId',
      message: 'The security token included in the request is invalid.',
    })
  })
  app.server.keepAliveTimeout = KEEP_IDLE_CONNECTIONS
  await app.listen({ port: options.port, host: LOOPBACK })
  const { port } = options

  const create = (name: string, attributes: Record<string, string>) => {
    const existing = store.getQueueByName(name)
    if (existing !== undefined) existing.setAttributes(attributes)
    else store.createQueue(name, `http://${LOOPBACK}:${port}/${ACCOUNT}/${name}`, queueArn(name), attributes)
  }
  return {
    port,
    send(queue, body) {
      const target = store.getQueueByName(queue)
      if (target === undefined) throw new Error(`there is no queue ${queue}`)
      target.enqueue(SqsStore.createMessage(body))
    },
    createQueues(queues) {
      for (const { name, visibilitySeconds, maxReceiveCount } of queues) {
        create(`${name}-dead`, { MessageRetentionPeriod: '1209600' })
        const redrive = JSON.stringify({ deadLetterTargetArn: queueArn(`${name}-dead`), maxReceiveCount })
        create(name, { VisibilityTimeout: String(visibilitySeconds), RedrivePolicy: redrive })
      }
    },
    async stop() {
      await app.close()
      persistence?.close()
    },
  }
}

/** `Authorization: AWS4-HMAC-SHA256 Credential=<access key>/<date>/…` */
function hasAccessKey(authorization: string | undefined, accessKeyId: string): boolean {
  const given = Buffer.from(/Credential=([^/,\s]+)\//.exec(authorization ?? '')?.[1] ?? '')
  const expected = Buffer.from(accessKeyId)
  return given.length === expected.length && timingSafeEqual(given, expected)
}

/** The SQLite store of fauxqs, with two corrections. */
async function openPersistence(
  folder: string,
  stores: { readonly sqsStore: Store; readonly snsStore: object },
): Promise<Persistence> {
  const { PersistenceManager } = await part<{ PersistenceManager: new (folder: string) => Persistence }>(
    './persistence.js',
  )
  const persistence = new PersistenceManager(folder)
  // Messages survive a kill of this process without a flush to disk for each; only a crash of the machine may lose
  // the last ones.
  persistence.db.exec('PRAGMA synchronous = NORMAL')
  // The original sets the receive count to NULL, which the column forbids: the call fails, and the message is lost
  // from memory.
  const ready = persistence.db.prepare(
    'UPDATE sqs_messages SET receipt_handle = NULL, visibility_deadline = NULL WHERE message_id = ?',
  )
  persistence.updateMessageReady = (messageId) => {
    ready.run(messageId)
  }
  persistence.loadSqsAndSns(stores.sqsStore, stores.snsStore)
  stores.sqsStore.persistence = persistence
  for (const queue of stores.sqsStore.allQueues()) queue.persistence = persistence
  return persistence
}
