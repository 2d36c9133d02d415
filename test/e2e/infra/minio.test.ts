import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import {
  GetBucketLocationCommand,
  PutBucketNotificationConfigurationCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { expect, test } from 'vitest'
import { LOOPBACK } from '../../../infra/local/ports.ts'
import { findMinio, MINIO_TARGET_ARN, startMinio } from '../../../infra/local/services/minio.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { until } from '../../support/waiting.ts'

// Skipped without a MinIO program on the machine; `npm run setup -- --with minio` builds one.
test.skipIf((await findMinio()) === null)(
  'MinIO posts its events with our token, and again until they are taken',
  async () => {
    const posts: {
      readonly headers: IncomingHttpHeaders
      readonly body: string
      readonly answered: number
    }[] = []
    let status = 503
    const webhook = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        if (request.method === 'POST')
          posts.push({ headers: request.headers, body: Buffer.concat(chunks).toString(), answered: status })
        response.writeHead(request.method === 'POST' ? status : 200).end()
      })
    }).listen(0, LOOPBACK)
    webhook.keepAliveTimeout = 0
    await once(webhook, 'listening')
    const { port } = webhook.address() as { readonly port: number }

    const dataFolder = temporaryFolder()
    const options = {
      dataFolder,
      buckets: ['cygno-data'],
      webhook: { endpoint: `http://${LOOPBACK}:${port}/`, token: 'a-token' },
    }
    const minio = await startMinio(options)
    try {
      const s3 = new S3Client({
        endpoint: minio.s3.endpoint,
        region: minio.s3.region,
        credentials: minio.s3,
        forcePathStyle: true,
      })
      await s3.send(new GetBucketLocationCommand({ Bucket: 'cygno-data' }))
      const Events = [
        's3:ObjectCreated:Put',
        's3:ObjectCreated:CompleteMultipartUpload',
        's3:ObjectCreated:Copy',
      ] as const
      const NotificationConfiguration = {
        QueueConfigurations: [{ QueueArn: MINIO_TARGET_ARN, Events: [...Events] }],
      }
      await s3.send(
        new PutBucketNotificationConfigurationCommand({ Bucket: 'cygno-data', NotificationConfiguration }),
      )
      await s3.send(new PutObjectCommand({ Bucket: 'cygno-data', Key: 'LNGS/run 1+ü.mid.gz', Body: 'hello' }))
      await until(() => posts.length > 0)
      status = 200
      await until(() => posts.some(({ answered }) => answered === 200))

      const taken = posts.find(({ answered }) => answered === 200)
      expect(posts[0]?.answered).toBe(503)
      expect(taken?.headers.authorization).toBe('Bearer a-token')
      expect(JSON.parse(taken?.body ?? '{}')).toMatchObject({
        EventName: 's3:ObjectCreated:Put',
        Key: 'cygno-data/LNGS/run 1+ü.mid.gz',
        Records: [
          { eventSource: 'minio:s3', s3: { object: { key: 'LNGS%2Frun+1%2B%C3%BC.mid.gz', size: 5 } } },
        ],
      })
    } finally {
      await minio.stop()
      webhook.closeAllConnections()
      webhook.close()
      rmSync(dataFolder, { recursive: true, force: true })
    }
  },
)
