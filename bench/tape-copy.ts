/**
 * One copy by the webdav driver in a process of its own, so that its memory can be measured: `node
 * bench/tape-copy.ts`, with the job as JSON on standard input and the result as JSON on standard output.
 */
import { text } from 'node:stream/consumers'
import { loadConfig } from '../shared/config/config.ts'
import { createLogger } from '../shared/log.ts'
import { createS3Client } from '../shared/storage/client.ts'
import { presignGet } from '../shared/storage/links.ts'
import { describeObject, readObject } from '../shared/storage/objects.ts'
import type { TapeFile } from '../shared/tape/driver.ts'
import { createWebdavDriver } from '../shared/tape/webdav/webdav.ts'

export interface TapeCopyJob {
  readonly environment: Readonly<Record<string, string>>
  readonly object: { readonly bucket: string; readonly key: string }
  readonly file: TapeFile
  readonly rootUrl: string
  readonly caFile: string
  readonly token: string
  readonly thirdParty: 'auto' | 'never'
}

export interface TapeCopyDone {
  readonly seconds: number
  readonly peakRssBytes: number
  readonly cpuSeconds: number
  readonly how: string
  readonly bytesThroughUs: number
  readonly verifiedBy: string
}

async function main(): Promise<void> {
  const signal = AbortSignal.timeout(600_000)
  const job = JSON.parse(await text(process.stdin)) as TapeCopyJob
  const s3 = createS3Client(loadConfig(job.environment))
  const driver = createWebdavDriver({
    rootUrl: job.rootUrl,
    caFile: job.caFile,
    token: { token: async () => job.token, refused() {} },
    thirdParty: job.thirdParty,
    tapeRest: 'never',
    copySeconds: 600,
    log: createLogger({
      function: 'bench',
      level: 'warn',
      destination: { write: (line) => process.stderr.write(line) },
    }),
  })
  const began = performance.now()
  const version = await describeObject(s3, job.object, signal)
  if (version === null) throw new Error('the object is not there')
  const source = {
    object: job.object,
    open: (opened: AbortSignal) => readObject(s3, version, opened),
    presign: async (seconds: number) => (await presignGet(s3, version, { seconds, now: new Date() })).url,
  }
  const result = await driver.copy(job.file, source, { attempt: 1 }, signal)
  if (result.kind !== 'stored') throw new Error(`the copy ended as ${result.kind}`)
  const { how, bytesThroughUs, verifiedBy } = result
  const done: TapeCopyDone = {
    seconds: (performance.now() - began) / 1000,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    cpuSeconds: (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
    how,
    bytesThroughUs,
    verifiedBy,
  }
  process.stdout.write(JSON.stringify(done))
  await driver.close()
  s3.destroy()
}

// A bundle in the format of deployed functions does not support top-level await.
void main()
