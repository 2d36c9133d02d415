/** Every kind of task, killed at every moment. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { tapeCopy, type WithTape } from '../../../shared/copies/tape/tape-copy.ts'
import { acceptTapeRequest } from '../../../shared/copies/tape/tape-request.ts'
import { createDirectoryDriver } from '../../../shared/tape/directory/directory.ts'
import { tapeBreaker } from '../../../shared/work/breaker.ts'
import { type FaultyTape, faultyTape } from '../../support/faulty-tape.ts'
import { startTestTapeContext, type TestTapeContext } from '../../support/tape-context.ts'
import { killSuite } from '../../support/work/kill-suite.ts'

/** The clock stands still. */
const AT = new Date('2026-03-01T12:00:00Z')

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
