/**
 * The same flow on a real MinIO server: its notifications are posted to our webhook with a token, and wait in
 * queue_dir.
 */
import { createHash } from 'node:crypto'
import { CopyObjectCommand, PutObjectTaggingCommand } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../cli/simulate/write.ts'
import { setUp } from '../../infra/local/setup.ts'
import { describeRun, findRuns } from '../../shared/queries/runs.ts'
import { eventually, startTestStack, type TestStack } from '../support/stack.ts'

let stack: TestStack
beforeAll(async () => {
  await setUp({ extras: ['minio'] })
  stack = await startTestStack({ extras: ['minio'] })
})
afterAll(() => stack.close())

const small = (runNumber: number, more: object = {}) =>
  runFileBytes({ runNumber, camera: 32, events: 12, digitizers: false, ...more })
const keyOf = (runNumber: number) => `LNGS/run${String(runNumber).padStart(5, '0')}.mid.gz`

const catalogued = (runNumber: number) =>
  eventually(`run ${runNumber}`, async () => {
    const [run] = await findRuns(stack.context.database, { runNumber })
    return run === undefined ? null : await describeRun(stack.context.database, run)
  })

describe('on a real MinIO', () => {
  test('a PUT is notified by the store and catalogued, and its ETag and checksum are compared', async () => {
    const bytes = await small(1)
    await stack.put(keyOf(1), bytes)
    const { run, files } = await catalogued(1)
    expect(run).toMatchObject({ complete: true, tag: 'LNGS', integrity: 'verified' })
    expect(files[0]).toMatchObject({ md5: createHash('md5').update(bytes).digest('hex') })
    expect(files[0]?.digestsCompared.map((comparison) => comparison.by)).toEqual(
      expect.arrayContaining(['etag', 'store']),
    )
  })

  test('a multipart upload is notified and catalogued', async () => {
    const bytes = await small(2, { camera: 512, events: 30 })
    const upload = new Upload({
      client: stack.context.s3,
      partSize: 5 * 1024 * 1024,
      params: { Bucket: stack.bucket, Key: keyOf(2), Body: Buffer.from(bytes) },
    })
    await upload.done()
    const { files } = await catalogued(2)
    expect(files[0]).toMatchObject({
      md5: createHash('md5').update(bytes).digest('hex'),
      etag: expect.stringMatching(/-\d+$/),
      integrity: 'verified',
    })
  })

  test('a copy is notified and catalogued under its new name', async () => {
    await stack.context.s3.send(
      new CopyObjectCommand({
        Bucket: stack.bucket,
        Key: 'LNF/run00001.mid.gz',
        CopySource: `${stack.bucket}/${keyOf(1)}`,
      }),
    )
    await eventually(
      'the copy',
      async () => (await findRuns(stack.context.database, { runNumber: 1, tag: 'LNF' })).length === 1,
    )
  })

  test('a tag on an object is not an arrival', async () => {
    const before = await stack.context.database.selectFrom('arrivals').select('id').execute()
    await stack.context.s3.send(
      new PutObjectTaggingCommand({
        Bucket: stack.bucket,
        Key: keyOf(1),
        Tagging: { TagSet: [{ Key: 'a', Value: 'b' }] },
      }),
    )
    await stack.put(keyOf(3), await small(3))
    await catalogued(3)
    expect((await stack.context.database.selectFrom('arrivals').select('id').execute()).length).toBe(
      before.length + 1,
    )
  })

  test('notifications of objects dropped while the webhook is down are delivered when it is back', async () => {
    const pid = stack.pid('receive-notification')
    process.kill(pid, 'SIGKILL')
    await stack.put(keyOf(4), await small(4))
    expect((await catalogued(4)).run.complete).toBe(true)
    expect(stack.pid('receive-notification')).not.toBe(pid)
  })

  test('`cygnet notifications apply` is idempotent and names the three events', async () => {
    const arn = 'arn:minio:sqs:us-east-1:CYGNET:webhook'
    const applied = await stack.cygnet(
      'notifications',
      'apply',
      '--bucket',
      stack.bucket,
      '--arn',
      arn,
      '--yes',
      '--json',
    )
    expect(JSON.parse(applied.stdout)).toMatchObject({ changed: false })
    const shown = await stack.cygnet('notifications', 'show', '--bucket', stack.bucket)
    for (const event of ['Put', 'CompleteMultipartUpload', 'Copy'])
      expect(shown.stdout).toContain(`ObjectCreated:${event}`)
  })

  test('`cygnet push` and `cygnet inspect s3://` work', async () => {
    const { mkdirSync, writeFileSync } = await import('node:fs')
    mkdirSync(`${stack.folder}/daq`)
    const bytes = await small(5)
    writeFileSync(`${stack.folder}/daq/run00005.mid.gz`, bytes)
    const pushed = await stack.cygnet(
      'push',
      `${stack.folder}/daq/run00005.mid.gz`,
      '--tag',
      'LNGS',
      '--json',
    )
    expect(pushed).toMatchObject({ code: 0 })
    expect((await catalogued(5)).files[0]?.digestsCompared).toContainEqual(
      expect.objectContaining({ by: 'uploader', algorithm: 'md5', agrees: true }),
    )
    const inspected = await stack.cygnet('inspect', `s3://${stack.bucket}/${keyOf(5)}`, '--json')
    expect(JSON.parse(inspected.stdout)).toMatchObject({ runNumber: 5, complete: true })
  })
})
