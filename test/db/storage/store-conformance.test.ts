import { queueArn } from '../../../infra/local/services/embedded/embedded.ts'
import { startTestStore } from '../../../infra/local/testing.ts'
import { s3Client, testQueue } from '../../support/infra/clients.ts'
import { storeConformance } from '../../support/store-conformance.ts'

storeConformance('embedded for development', async () => {
  const { connection, bucket, queuePrefix } = await startTestStore({
    queues: [{ name: 'runs', visibilitySeconds: 3600, maxReceiveCount: 3 }],
  })
  const queue = await testQueue(connection, `${queuePrefix}runs`)
  return {
    bucket,
    client: (more) => s3Client(connection, more),
    arn: queueArn(`${queuePrefix}runs`),
    async delivered() {
      const records = await queue.records()
      return records.length === 0 ? [] : [JSON.stringify({ Records: records })]
    },
    async close() {
      queue.client.destroy()
    },
  }
})
