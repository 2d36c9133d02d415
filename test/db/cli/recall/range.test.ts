/** `cygnet recall --range`: what its exit code means, and ranges of more files than one request may have. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ApiClient } from '../../../../cli/api/client.ts'
import { recallRange } from '../../../../cli/recall/range.ts'
import { registerRecalls } from '../../../../functions/catalog-api/api/recalls.ts'
import { advanceRecalls } from '../../../support/advance-recalls.ts'
import { signal } from '../../../support/context.ts'
import { caller, restApp } from '../../../support/functions/catalog-api/rest-app.ts'
import { type RecallTape, recallTape } from '../../../support/recall-tape.ts'
import { deleteFromStore, makeRun, onlyOnTape } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let tape: RecallTape
let clockMs: number
/** Whether the tape system works between two requests. */
let works: boolean
/** The bodies of the requests. */
let bodies: { readonly range: object; readonly dryRun: boolean }[]
let from = 0
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())
beforeEach(async () => {
  from += 100
  tape = recallTape()
  clockMs = Date.now()
  works = true
  bodies = []
  for (const table of ['tasks', 'recalls', 'breakers'] as const)
    await context.database.deleteFrom(table).execute()
})

const clientOf = (answer: (body: (typeof bodies)[number]) => Promise<{ status: number; json: unknown }>) => {
  const fetch = async (_path: string, init: RequestInit = {}) => {
    const body = JSON.parse(String(init.body))
    bodies.push(body)
    const { status, json } = await answer(body)
    return new Response(JSON.stringify(json), { status, headers: { 'content-type': 'application/json' } })
  }
  return { fetch } as unknown as ApiClient
}
const recall = async (more: object = {}) => {
  const app = restApp({ ...context, tape }, registerRecalls)
  const client = clientOf(async (body) => {
    const answer = await app.post('/api/v1/recalls', body, caller('read:*', 'link:*', 'recall:*'))
    if (works && !body.dryRun)
      for (let beat = 0; beat < 6; beat++) {
        await advanceRecalls({ ...context, tape, now: () => new Date(clockMs) }, signal, context.log)
        clockMs += 600_000
      }
    return answer
  })
  const flags = { tag: 'LNGS', yes: true, json: true, ...more }
  return await recallRange(client, { from, to: from + 99 }, flags, signal)
}

test('a range ends with 0 when every file is in the store', async () => {
  await onlyOnTape(context, tape, from)
  await makeRun(context, from + 1)
  expect(await recall({ wait: true })).toBe(0)
})

test('a range ends with 3 while a file is being brought back', async () => {
  works = false
  await onlyOnTape(context, tape, from)
  expect(await recall()).toBe(3)
})

test('a range ends with 1 when a copy on tape turned out to be damaged', async () => {
  await onlyOnTape(context, tape, from)
  const damaged = await onlyOnTape(context, tape, from + 1)
  tape.files.set(`${context.bucket}/${damaged.key}`, new Uint8Array(damaged.bytes.length))
  expect(await recall({ wait: true })).toBe(1)
})

test('a range ends with 1 when a file was left out because it is neither in the store nor on tape', async () => {
  await onlyOnTape(context, tape, from)
  await deleteFromStore(context, await makeRun(context, from + 1))
  expect(await recall({ wait: true })).toBe(1)
})

test('a range of more files than one request may have is requested in parts of whole runs', async () => {
  const none = { files: 0, sizeBytes: 0 }
  const files = [120, 50, 100, 250, 10].flatMap((count, run) =>
    Array.from({ length: count }, (_, subrun) => ({
      ...{ tag: 'LNGS', runNumber: run, key: `LNGS/run${run}sub${subrun}`, sizeBytes: 1 },
      ...{ state: 'on-tape', reason: null },
    })),
  )
  const plan = { runs: 5, inStore: none, recalling: none, onTape: none, unavailable: none, failed: none }
  const client = clientOf(async () => ({ status: 200, json: { ...plan, refusal: null, files } }))
  await recallRange(client, { from: 0, to: 4 }, { tag: 'LNGS', yes: true, json: true }, signal)
  expect(bodies.filter(({ dryRun }) => !dryRun).map(({ range }) => range)).toEqual([
    { tag: 'LNGS', from: 0, to: 1 },
    { tag: 'LNGS', from: 2, to: 2 },
    { tag: 'LNGS', from: 3, to: 3 },
    { tag: 'LNGS', from: 4, to: 4 },
  ])
})
