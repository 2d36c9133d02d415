/** The one place where an SQS client is made. */
import { SQSClient } from '@aws-sdk/client-sqs'
import type { Config } from '../config/config.ts'

export function createSqsClient(config: Config): SQSClient {
  return new SQSClient({
    region: config.CYGNET_SQS_REGION,
    maxAttempts: 4,
    requestHandler: { connectionTimeout: 5_000, socketTimeout: 60_000 },
    ...(config.CYGNET_SQS_ENDPOINT === undefined ? {} : { endpoint: config.CYGNET_SQS_ENDPOINT }),
    ...(config.CYGNET_SQS_ACCESS_KEY_ID === undefined || config.CYGNET_SQS_SECRET_ACCESS_KEY === undefined
      ? {}
      : {
          credentials: {
            accessKeyId: config.CYGNET_SQS_ACCESS_KEY_ID,
            secretAccessKey: config.CYGNET_SQS_SECRET_ACCESS_KEY,
          },
        }),
  })
}
