/**
 * The whole flow on a real Ceph gateway: a persistent topic posts to our webhook, with the token in the body of each
 * event. Its first events come half a minute late.
 */
import { createHash } from 'node:crypto'
import { Upload } from '@aws-sdk/lib-storage'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../cli/simulate/write.ts'
import { setUp } from '../../infra/local/setup.ts'
import { describeRun, findRuns } from '../../shared/queries/runs.ts'
import { createTopic } from '../../shared/storage/ceph.ts'
import { describeObject } from '../../shared/storage/objects.ts'
import { signal } from '../support/context.ts'
import { eventually, startTestStack, type TestStack } from '../support/stack.ts'

const ARN = 'arn:aws:sns:default::cygnet'
let stack: TestStack
beforeAll(async () => {
  await setUp({ extras: ['ceph'] })
  // Only the notifications of the store: no listing finds a run before.
  stack = await startTestStack({ extras: ['ceph'] })
})
afterAll(() => stack?.close())

const small = (runNumber: number, more: object = {}) =>
  runFileBytes({ runNumber, camera: 32, events: 12, digitizers: false, ...more })
const keyOf = (runNumber: number) => `LNGS/run${String(runNumber).padStart(5, '0')}.mid.gz`
const token = () => stack.environment.CYGNET_NOTIFICATION_TOKEN ?? ''
const webhook = () => `${stack.address('receive-notification')}/ceph`
const notifications = (...args: readonly string[]) =>
  stack.cygnet('notifications', ...args, '--bucket', stack.bucket)
const apply = async (...args: readonly string[]) => {
  const { stdout, stderr, code } = await notifications('apply', '--arn', ARN, '--yes', '--json', ...args)
  if (code !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}
const rules = async () => JSON.parse((await notifications('show', '--json')).stdout).notifications

/** How arrivals of a run were found. */
const sourceOf = (runNumber: number) =>
  eventually(`run ${runNumber}`, async () => {
    const arrival = await stack.context.database
      .selectFrom('arrivals')
      .select(['source', 'state'])
      .where('objectKey', '=', keyOf(runNumber))
      .executeTakeFirst()
    return arrival?.state === 'done' && arrival.source
  })

describe('on a real Ceph', () => {
  test('a PUT and an upload in parts are notified by a persistent topic and catalogued', async () => {
    const bytes = await small(1)
    await stack.put(keyOf(1), bytes)
    const upload = new Upload({
      client: stack.context.s3,
      partSize: 5 * 1024 * 1024,
      params: {
        Bucket: stack.bucket,
        Key: keyOf(2),
        Body: Buffer.from(await small(2, { camera: 512, events: 30 })),
      },
    })
    await upload.done()
    expect([await sourceOf(1), await sourceOf(2)]).toEqual(['ceph', 'ceph'])
    const [run] = await findRuns(stack.context.database, { runNumber: 1 })
    const { files } = await describeRun(stack.context.database, run as NonNullable<typeof run>)
    expect(files[0]).toMatchObject({
      md5: createHash('md5').update(bytes).digest('hex'),
      integrity: 'verified',
    })
  })

  test('`cygnet push` works, and does not replace an object', async () => {
    const { mkdirSync, writeFileSync } = await import('node:fs')
    mkdirSync(`${stack.folder}/daq`)
    const file = `${stack.folder}/daq/run00005.mid.gz`
    writeFileSync(file, await small(5))
    expect(await stack.cygnet('push', file, '--tag', 'LNGS', '--json')).toMatchObject({ code: 0 })
    writeFileSync(file, await small(5, { events: 3 }))
    expect((await stack.cygnet('push', file, '--tag', 'LNGS', '--json')).code).not.toBe(0)
    expect(await sourceOf(5)).toBe('ceph')
  })

  test('`notifications show` prints where events really go, and `apply` moves them', async () => {
    expect(await rules()).toMatchObject([{ endpoint: webhook(), problem: null }])
    await createTopic(
      stack.context.s3,
      'cygnet',
      { endpoint: 'http://127.0.0.1:9/ceph', opaqueData: '' },
      signal,
    )
    expect(await rules()).toMatchObject([
      { endpoint: webhook(), problem: expect.stringContaining('was changed') },
    ])
    expect(await apply()).toMatchObject({ changed: false, refreshed: true })
    expect(await rules()).toMatchObject([
      { endpoint: 'http://127.0.0.1:9/ceph', problem: expect.stringContaining('CYGNET_NOTIFICATION_TOKEN') },
    ])
    await createTopic(stack.context.s3, 'cygnet', { endpoint: webhook(), opaqueData: token() }, signal)
    await apply()
    expect(await rules()).toMatchObject([{ endpoint: webhook(), problem: null }])
  })

  test('another prefix replaces our rule, so that no object is announced twice', async () => {
    expect((await apply('--prefix', 'LNGS/')).after).toMatchObject([{ prefix: 'LNGS/' }])
    expect(await rules()).toHaveLength(1)
  })

  test('`notifications test` follows an event of the topic to the functions', async () => {
    const { stdout, stderr, code } = await notifications('test', '--seconds', '240', '--json')
    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout).notifications).toMatchObject([
      { receivedSeconds: expect.any(Number), processedSeconds: expect.any(Number), advice: null },
    ])
  })

  test('a topic with a wrong token does not keep the webhook busy', async () => {
    await createTopic(stack.context.s3, 'cygnet', { endpoint: webhook(), opaqueData: 'wrong' }, signal)
    await apply('--prefix', 'LNGS/')
    await stack.put(keyOf(6), await small(6))
    const refused = await eventually('a refusal in the log', async () => {
      const { stdout } = await stack.cygnet('logs', '--function', 'receive-notification', '--json')
      const lines = stdout.split('\n').filter((line) => line.includes('notification-refused'))
      return lines.length > 0 && lines
    })
    expect(refused.length).toBeLessThan(4)
    await createTopic(stack.context.s3, 'cygnet', { endpoint: webhook(), opaqueData: token() }, signal)
    await apply('--prefix', 'LNGS/')
    await stack.put(keyOf(7), await small(7))
    expect(await sourceOf(7)).toBe('ceph')
  })

  test('a gateway that was killed is started again, with its objects and its topic', async () => {
    await stack.put(keyOf(8), await small(8))
    const pid = stack.pid('ceph')
    process.kill(pid, 'SIGKILL')
    await eventually('another gateway', async () => stack.pid('ceph') !== pid)
    await eventually('its objects', () =>
      describeObject(stack.context.s3, { bucket: stack.bucket, key: keyOf(8) }, signal),
    )
    await stack.put(keyOf(9), await small(9))
    expect(await sourceOf(9)).toBe('ceph')
  })
})
