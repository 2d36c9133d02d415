/** The one place where an SQS client is created. */
import { SQSClient } from '@aws-sdk/client-sqs'
import type { Config } from '../config/config.ts'

export function createSqsClient(config: Config): SQSClient {
  return new SQSClient({
    region: config.queue.region,
    maxAttempts: 4,
    requestHandler: { connectionTimeout: 5_000, socketTimeout: 60_000 },
    ...(config.queue.endpoint === undefined ? {} : { endpoint: config.queue.endpoint }),
    ...(config.queue.accessKeyId === undefined || config.queue.secretAccessKey === undefined
      ? {}
      : {
          credentials: {
            accessKeyId: config.queue.accessKeyId,
            secretAccessKey: config.queue.secretAccessKey,
          },
        }),
  })
}
