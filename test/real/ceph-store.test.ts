/** The store conformance suite on a real Ceph gateway, with a persistent topic as the target of notifications. */
import { rmSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { startCeph } from '../../infra/local/services/ceph.ts'
import { setUp } from '../../infra/local/setup.ts'
import { temporaryFolder } from '../../infra/local/testing.ts'
import { createTopic } from '../../shared/storage/ceph.ts'
import { startHttpServer } from '../support/http-server.ts'
import { s3Client } from '../support/infra/clients.ts'
import { storeConformance } from '../support/store-conformance.ts'

storeConformance(
  'Ceph',
  async () => {
    await setUp({ extras: ['ceph'] })
    let posted: string[] = []
    const webhook = await startHttpServer(async (request, response) => {
      posted.push(await text(request))
      response.writeHead(200).end()
    })
    const dataFolder = temporaryFolder()
    const ceph = await startCeph({ dataFolder, buckets: ['cygno-data', 'cygno-versions'] })
    // As the product's client for a store outside of AWS.
    const mode = 'WHEN_REQUIRED'
    const checksums = { requestChecksumCalculation: mode, responseChecksumValidation: mode }
    const client = (more?: object) => s3Client(ceph, { ...checksums, ...more })
    const topic = { endpoint: `${webhook.origin}/ceph`, opaqueData: 'a-token' }
    const s3 = client()
    const arn = await createTopic(s3, 'cygnet', topic, new AbortController().signal)
    s3.destroy()
    return {
      bucket: 'cygno-data',
      versionedBucket: 'cygno-versions',
      client,
      arn,
      async delivered() {
        const texts = posted
        posted = []
        return texts
      },
      async close() {
        await ceph.stop()
        await webhook.close()
        rmSync(dataFolder, { recursive: true, force: true })
      },
    }
  },
  {
    // Measured with 16.2.15. Cygnet sends no PUT with If-Match.
    conditionalDeletes: 'by-second',
    checksums: false,
    conditionalReplacing: false,
    emptiedNotifications: false,
  },
)
