/** The one place where an SQS client is created. Its errors name the request. */
import { SQSClient } from '@aws-sdk/client-sqs'
import type { Config } from '../config/config.ts'
import { nameRequest } from '../errors.ts'

export function createSqsClient(config: Config): SQSClient {
  const sqs = new SQSClient({
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
  sqs.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        try {
          return await next(args)
        } catch (error) {
          const queue = 'QueueUrl' in args.input ? args.input.QueueUrl : 'the queues'
          nameRequest(error, `${commandName?.replace(/Command$/, '')} of ${queue}`)
          throw error
        }
      },
    { step: 'initialize', priority: 'high', name: 'nameRequests' },
  )
  return sqs
}
