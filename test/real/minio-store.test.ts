/** The store conformance suite on a real MinIO server, with its webhook as the target of notifications. */
import { rmSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { MINIO_TARGET_ARN, startMinio } from '../../infra/local/services/minio.ts'
import { setUp } from '../../infra/local/setup.ts'
import { temporaryFolder } from '../../infra/local/testing.ts'
import { startHttpServer } from '../support/http-server.ts'
import { s3Client } from '../support/infra/clients.ts'
import { storeConformance } from '../support/store-conformance.ts'

storeConformance(
  'MinIO',
  async () => {
    await setUp({ extras: ['minio'] })
    let posted: string[] = []
    const webhook = await startHttpServer(async (request, response) => {
      const body = await text(request)
      if (request.method === 'POST') posted.push(body)
      response.writeHead(200).end()
    })
    const dataFolder = temporaryFolder()
    const minio = await startMinio({
      dataFolder,
      buckets: ['cygno-data', 'cygno-versions'],
      webhook: { endpoint: `${webhook.origin}/`, token: 'a-token' },
    })
    return {
      bucket: 'cygno-data',
      versionedBucket: 'cygno-versions',
      client: (more) => s3Client(minio, more),
      arn: MINIO_TARGET_ARN,
      async delivered() {
        const texts = posted
        posted = []
        return texts
      },
      async close() {
        await minio.stop()
        await webhook.close()
        rmSync(dataFolder, { recursive: true, force: true })
      },
    }
  },
  // Measured with the release of October 2025: docs/adr/0009-deletion.md.
  { conditionalDeletes: false },
)
