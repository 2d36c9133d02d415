import { randomUUID } from 'node:crypto'
import { Command } from 'commander'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { register } from '../../../../cli/commands/dead.ts'
import { acceptTapeRequest } from '../../../../shared/copies/tape/tape-request.ts'
import { encodeNotification } from '../../../../shared/messages/runs.ts'
import { deadLetterQueue, QUEUES, type QueueName } from '../../../../shared/queue/queues.ts'
import { signal } from '../../../support/context.ts'
import { makeRun, type TestRun } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { copyNext } from '../../../support/tape-copies.ts'

let context: TestTapeContext
let printed = ''
let number = 0
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())
beforeEach(async () => {
  for (const queue of QUEUES) {
    await context.drain(queue)
    await context.drain(deadLetterQueue(queue))
  }
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text)
    return true
  })
  const settings = { CYGNET_DATABASE_URL: context.catalogue.url, ...context.store.environment }
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value)
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

async function dead(...args: string[]): Promise<string> {
  printed = ''
  const program = new Command().exitOverride()
  register(program)
  await program.parseAsync(['dead', ...args], { from: 'user' })
  return printed
}
const listed = async (...args: string[]) =>
  (await dead('ls', ...args, '--json'))
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

const die = (queue: QueueName, ...bodies: string[]) =>
  context.queues.send(deadLetterQueue(queue), bodies, signal)
const arrivalOf = (key: string, etag: string | null = null) =>
  encodeNotification([
    {
      bucket: context.bucket,
      key,
      etag,
      sizeBytes: null,
      versionId: null,
      sequencer: null,
      eventName: 'ObjectCreated:Put',
      eventTime: null,
      source: 'minio',
    },
  ])
const tapeRequestOf = ({ tag, runNumber, key, sha256 }: TestRun) =>
  ({ tag, runNumber, bucket: context.bucket, key, sha256, priority: 'live' }) as const
const nextRun = () => makeRun(context, ++number)

test('dead letters of all queues are listed together unless a queue is named', async () => {
  await die('runs', arrivalOf('LNGS/run90001.mid.gz'))
  await die('tape-requests', '"not understood"')
  expect((await listed()).map(({ queue, about }) => [queue, about])).toEqual([
    ['runs', `${context.bucket}/LNGS/run90001.mid.gz`],
    ['tape-requests', '"not understood"'],
  ])
  expect(await listed('tape-requests')).toHaveLength(1)
  expect(await dead('ls')).toMatch(/runs .*run90001.*\n.*tape-requests .*not understood/)
  expect(await dead('ls', 'alerts')).toBe('no dead letters on alerts\n')
})

test('an id that is none is named, however long it is', async () => {
  const id = `p${'9'.repeat(400)}`
  await expect(dead('show', id)).rejects.toThrow(`there is no dead letter ${id}`)
})

test('letters of work that was done without them are finished, with its state', async () => {
  const run = await nextRun()
  const copied = await nextRun()
  await acceptTapeRequest(context, tapeRequestOf(copied))
  expect(await copyNext(context, signal, context.log)).toBe('on-media')
  await die('runs', arrivalOf(run.key, run.md5), arrivalOf(run.key, 'another-version'))
  await die('tape-requests', JSON.stringify(tapeRequestOf(copied)), JSON.stringify(tapeRequestOf(run)))
  const letters = (await listed()).map(({ queue, state, finished }) => [queue, state, finished])
  expect(letters.toSorted()).toEqual([
    ['runs', null, false],
    ['runs', 'done', true],
    ['tape-requests', null, false],
    ['tape-requests', 'on-media', true],
  ])
  expect(await dead('ls')).toMatch(/run\d+\.mid\.gz +done +finished/)
})

test('a letter about several objects is finished only with all of them', async () => {
  const run = await nextRun()
  const [{ Records: done }, { Records: open }] = [run.key, 'LNGS/run90002.mid.gz'].map((key) =>
    JSON.parse(arrivalOf(key)),
  ) as [{ Records: object[] }, { Records: object[] }]
  await die('runs', JSON.stringify({ Records: [...done, ...open] }))
  expect(await listed()).toMatchObject([{ about: `${context.bucket}/LNGS/run90002.mid.gz`, finished: false }])
})

test('retry --all leaves out what is finished, and dismiss --finished removes only that', async () => {
  const run = await nextRun()
  const open = 'LNGS/run90003.mid.gz'
  await die('runs', arrivalOf(run.key), arrivalOf(open))
  expect(await dead('dismiss', '--finished')).toContain('1 dead letters would be dismissed')
  expect(await listed()).toHaveLength(2)
  expect(await dead('retry', '--all', '--yes')).toBe('1 dead letters were sent back\n')
  expect(await context.drain('runs')).toMatchObject([{ Records: [{ s3: { object: { key: open } } }] }])
  expect(await dead('dismiss', '--finished', '--yes')).toBe('1 dead letters were dismissed\n')
  expect(await dead('ls')).toBe('no dead letters\n')
})

test('a letter that nobody understands can be dismissed by its id, from any queue', async () => {
  const body = `"${randomUUID()}"`
  await die('reco-requests', body)
  const [{ id }] = (await listed()) as [{ id: string }]
  expect(await dead('show', id.slice(0, 8))).toContain(JSON.parse(body))
  await expect(dead('dismiss')).rejects.toThrow(/give the ids/)
  expect(await dead('dismiss', id.slice(0, 8))).toMatch(/nothing was done: add --yes/)
  expect(await dead('dismiss', id.slice(0, 8), '--yes')).toBe('1 dead letters were dismissed\n')
  expect(await listed()).toEqual([])
})
