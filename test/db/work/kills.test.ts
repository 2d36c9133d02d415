/** Every kind of task, killed at every moment. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { foldAlerts } from '../../../shared/alerts/episodes.ts'
import { alertPost, requestPosts } from '../../../shared/alerts/post.ts'
import { recallTask } from '../../../shared/copies/recall/recall.ts'
import { requestRecall } from '../../../shared/copies/recall/request.ts'
import { tapeCopy, type WithTape } from '../../../shared/copies/tape/tape-copy.ts'
import { acceptTapeRequest } from '../../../shared/copies/tape/tape-request.ts'
import { listUploads } from '../../../shared/storage/multipart.ts'
import { listObjects } from '../../../shared/storage/objects.ts'
import { createDirectoryDriver } from '../../../shared/tape/directory/directory.ts'
import { tapeBreaker, tapeReadBreaker } from '../../../shared/work/breaker.ts'
import { alert } from '../../../shared/work/raise-alert.ts'
import { alertContext } from '../../support/alerts/alert-context.ts'
import { createMemoryChannel } from '../../support/alerts/memory-channel.ts'
import { signal } from '../../support/context.ts'
import { type FaultyTape, faultyTape } from '../../support/faulty-tape.ts'
import { recallTape } from '../../support/recall-tape.ts'
import { onlyOnTape } from '../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../support/tape-context.ts'
import { killSuite } from '../../support/work/kill-suite.ts'

/** The clock is fixed at the time of the store, which rejects links of another time. */
const AT = new Date()

let context: TestTapeContext
let tape: FaultyTape
beforeAll(async () => {
  context = await startTestTapeContext({
    driver: (folder) => faultyTape(createDirectoryDriver({ folder })),
    now: () => AT,
  })
  tape = context.tape as FaultyTape
})
afterAll(() => context?.close())

killSuite('a message in a channel', () => {
  const memory = createMemoryChannel({ now: () => AT })
  const host = alertContext(context, { now: () => AT }, [memory.channel], {})
  return {
    context: host,
    kind: alertPost,
    options: {
      dependency: memory.channel.dependency,
      turn: { of: 'due', mostAtOnce: 2 },
      limitSeconds: 3600,
    },
    async request() {
      await host.clear()
      memory.clear()
      await host.raise(alert({ rule: 'store-is-full', severity: 'error', summary: 'the store is full' }))
      await foldAlerts(host)
      await requestPosts(host, memory.channel)
    },
    acts: () => memory.posted(),
    effects: () => memory.messages().length,
    async isRecorded() {
      const post = await host.database.selectFrom('alertPosts').selectAll().executeTakeFirstOrThrow()
      const [visible] = await memory.visible()
      return post.shown === post.wanted && post.messageId === visible?.id
    },
  }
})

let run = 700
killSuite('a copy to tape', () => {
  const host = context as WithTape
  const key = `LNGS/run00${++run}.mid.gz`
  return {
    context: host,
    kind: tapeCopy,
    options: {
      dependency: tapeBreaker(host.tape.endpoint),
      turn: { of: 'due', mostAtOnce: 2 },
      limitSeconds: 3600,
    },
    async request() {
      tape.copied.length = 0
      const { sha256, tag, runNumber } = await context.putRun(key, `bytes of ${key}`)
      const { bucket } = context
      await acceptTapeRequest(host, { tag, runNumber, bucket, key, sha256, priority: 'live' })
    },
    acts: () => tape.copied.length,
    effects: () =>
      readdirSync(join(context.tapeFolder, context.bucket, 'LNGS')).filter((file) => key.endsWith(file))
        .length,
    async isRecorded() {
      const { state } = await context.database
        .selectFrom('replicas')
        .select('state')
        .where('objectKey', '=', key)
        .where('kind', '=', 'tape')
        .executeTakeFirstOrThrow()
      return state === 'on-media'
    },
  }
})

const MULTIPART_BYTES = 18 * 1024 * 1024

const ways: [how: string, sends: boolean, sizeBytes: number][] = [
  ['streamed whole', false, 3000],
  ['streamed in parts', false, MULTIPART_BYTES],
  ['sent by the endpoint itself', true, 3000],
]
for (const [how, sends, sizeBytes] of ways)
  killSuite(`a recall, ${how}`, () => {
    const library = Object.assign(recallTape(), { sends })
    const host = { ...context, tape: library }
    const { bucket, database, s3 } = host
    const runNumber = ++run
    const key = `LNGS/run00${runNumber}.mid.gz`
    const objects = async (prefix: string) =>
      (await listObjects(s3, { bucket, prefix, startAfter: null }, signal)).objects.length
    return {
      context: host,
      kind: recallTask,
      options: {
        dependency: tapeReadBreaker(library.endpoint),
        turn: { of: 'due', mostAtOnce: 2 },
        limitSeconds: 3600,
      },
      async request() {
        await onlyOnTape(host, library, runNumber, sizeBytes)
        await database.deleteFrom('tasks').execute()
        await requestRecall(host, { runNumber, tag: 'LNGS' }, { days: 7, requestedBy: 'test' }, AT, signal)
      },
      acts: () => library.calls.filter((what) => what === 'read' || what === 'send').length,
      // Leftovers of an unfinished attempt would be counted too.
      effects: async () =>
        (await objects(key)) +
        (await objects('TMP/')) +
        (await listUploads(s3, { bucket, key }, signal)).length,
      async isRecorded() {
        const { state } = await database
          .selectFrom('recalls')
          .select('state')
          .where('objectKey', '=', key)
          .executeTakeFirstOrThrow()
        return state === 'present'
      },
    }
  })
