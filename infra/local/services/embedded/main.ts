/**
 * The process of the embedded S3 and SQS. Its argument is the path of a settings file (mode 0600), since arguments
 * are visible to other users. At SIGTERM it finishes the requests in progress and ends.
 */
import { readFileSync } from 'node:fs'
import S3rver from '@20minutes/s3rver'
import S3Error from '@20minutes/s3rver/lib/models/error.js'
import { createLogger } from '../../../../shared/log.ts'
import { endWithStarter } from '../../lifeline.ts'
import { KEEP_IDLE_CONNECTIONS, LOOPBACK } from '../../ports.ts'
import { serviceFolder } from '../../process.ts'
import { createBridge } from './bridge.ts'
import { serveControl } from './control.ts'
import { MultipartStore } from './multipart.ts'
import { createNotifications } from './notifications.ts'
import { createProtocol } from './protocol.ts'
import { startQueues } from './queues.ts'
import { REGION, startSchema } from './settings.ts'

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: main.ts SETTINGS-FILE')
const settings = startSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
const log = createLogger({ function: 'embedded', level: 'info' })

const queues = await startQueues({
  port: settings.sqsPort,
  folder: settings.keepMessages ? serviceFolder(settings.folder, 'queues') : null,
  accessKeyId: settings.credentials.accessKeyId,
})
queues.createQueues(settings.queues)

const directory = serviceFolder(settings.folder, 'objects')
const store = new MultipartStore(directory)
const notifications = createNotifications(store)
const bridge = createBridge({
  region: REGION,
  rulesOf: notifications.rulesOf,
  send: queues.send,
  onFailure: ({ error, ...failure }) => log.error({ ...failure, error }, 'notification_lost'),
  etagOf: (bucket, key) => store.find(bucket, key)?.etag,
  notifications: settings.notifications,
})

const s3 = new S3rver({
  address: LOOPBACK,
  port: settings.s3Port,
  silent: true,
  directory,
  vhostBuckets: false,
})
s3.store = store
s3.context.store = store
s3.middleware.splice(-1, 0, createProtocol({ store, notifications, credentials: settings.credentials }))
s3.on('event', bridge.handle)
s3.on('error', (error) => {
  if (!(error instanceof S3Error)) log.error({ error }, 's3_request_failed')
})
for (const bucket of settings.buckets) await store.putBucket(bucket)
await s3.run()
s3.httpServer.keepAliveTimeout = KEEP_IDLE_CONNECTIONS

const control = await serveControl({
  port: settings.controlPort,
  token: settings.controlToken,
  state: bridge.state,
  async change(change) {
    for (const bucket of change.buckets ?? []) await store.putBucket(bucket)
    queues.createQueues(change.queues ?? [])
    if (change.notifications !== undefined) bridge.setNotifications(change.notifications)
  },
})
log.info({ folder: settings.folder }, 'embedded_started')

const stop = async () => {
  control.close()
  await Promise.all([s3.close(), queues.stop()])
  process.exit(0)
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop())
endWithStarter(() => void stop())
